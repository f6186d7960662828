/* A stand-in for libnvidia-ml.so.1 with two GPUs, for tests: only what Dualscope reads.
 *
 * GPU 0 does everything. GPU 1 has no power reading, and is lost from its fourth memory reading on.
 * Variables: STAND_IN_INIT, what nvmlInit returns; STAND_IN_COUNT, how many GPUs there are;
 * STAND_IN_NEVER_OPENS, the index of a GPU that was lost before. */

#include <stdio.h>
#include <stdlib.h>

typedef int ret_t;
typedef struct { int index; int reads; } device_t;

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };
enum { READS_BEFORE_LOSS = 3 };

static device_t devices[2] = {{0, 0}, {1, 0}};

static int variable(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static int lost(const device_t *device) {
    return device->index == 1 && device->reads > READS_BEFORE_LOSS;
}

ret_t nvmlInitWithFlags(unsigned flags) { (void)flags; return variable("STAND_IN_INIT", SUCCESS); }
ret_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

ret_t nvmlShutdown(void) { fputs("stand-in: shut down\n", stderr); return SUCCESS; }

const char *nvmlErrorString(ret_t result) { (void)result; return "stand-in error"; }

ret_t nvmlSystemGetDriverVersion(char *text, unsigned size) {
    snprintf(text, size, "999.11");
    return SUCCESS;
}

ret_t nvmlDeviceGetCount_v2(unsigned *count) {
    *count = (unsigned)variable("STAND_IN_COUNT", 2);
    return SUCCESS;
}

ret_t nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t **device) {
    if (index > 1) return INVALID_ARGUMENT;
    if ((int)index == variable("STAND_IN_NEVER_OPENS", -1)) return GPU_IS_LOST;
    *device = &devices[index];
    return SUCCESS;
}

ret_t nvmlDeviceGetName(device_t *device, char *text, unsigned size) {
    snprintf(text, size, "Stand-in %c", "AB"[device->index]);
    return SUCCESS;
}

ret_t nvmlDeviceGetMemoryInfo(device_t *device, unsigned long long memory[3]) {
    device->reads++;
    if (lost(device)) return GPU_IS_LOST;
    memory[0] = 16ull << 30; /* total */
    memory[1] = 12ull << 30; /* free */
    memory[2] = 4ull << 30;  /* used */
    return SUCCESS;
}

ret_t nvmlDeviceGetUtilizationRates(device_t *device, unsigned rates[2]) {
    if (lost(device)) return GPU_IS_LOST;
    rates[0] = 70u + (unsigned)device->index;
    rates[1] = 20u;
    return SUCCESS;
}

ret_t nvmlDeviceGetPowerUsage(device_t *device, unsigned *milliwatts) {
    if (lost(device)) return GPU_IS_LOST;
    if (device->index == 1) return NOT_SUPPORTED;
    *milliwatts = 250500u;
    return SUCCESS;
}

ret_t nvmlDeviceGetTemperature(device_t *device, int sensor, unsigned *celsius) {
    if (lost(device)) return GPU_IS_LOST;
    *celsius = sensor == 0 ? 61u : 0u;
    return SUCCESS;
}

ret_t nvmlDeviceGetClockInfo(device_t *device, int kind, unsigned *mhz) {
    if (lost(device)) return GPU_IS_LOST;
    *mhz = kind == 1 ? 1980u : kind == 2 ? 2619u : 0u; /* 1: SM, 2: memory */
    return SUCCESS;
}

typedef struct {
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
} process_t;

/* One process on the first GPU, none on the second. */
ret_t nvmlDeviceGetComputeRunningProcesses_v3(device_t *device, unsigned *count, process_t *found) {
    unsigned room = *count;
    if (lost(device)) return GPU_IS_LOST;
    *count = device->index == 0 ? 1 : 0;
    if (room < *count) return INSUFFICIENT_SIZE;
    if (*count) found[0] = (process_t){4242, 3ull << 30, 0, 0};
    return SUCCESS;
}

ret_t nvmlDeviceGetEnforcedPowerLimit(device_t *device, unsigned *milliwatts) {
    if (device->index == 1) return NOT_SUPPORTED;
    *milliwatts = 700000u;
    return SUCCESS;
}

ret_t nvmlDeviceGetEccMode(device_t *device, unsigned *now, unsigned *later) {
    if (device->index == 1) return NOT_SUPPORTED;
    *now = *later = 1;
    return SUCCESS;
}

ret_t nvmlDeviceGetMaxClockInfo(device_t *device, int kind, unsigned *mhz) {
    if (device->index == 1) return NOT_SUPPORTED;
    *mhz = kind == 1 ? 1980u : 0u;
    return SUCCESS;
}

/* Bit 0, GPU is idle, is no reason that a person should hear of. */
ret_t nvmlDeviceGetCurrentClocksEventReasons(device_t *device, unsigned long long *reasons) {
    if (lost(device)) return GPU_IS_LOST;
    *reasons = device->index == 0 ? 0x1ull | 0x4ull | 0x40ull : 0ull;
    return SUCCESS;
}
