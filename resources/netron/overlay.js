// Netron inside of Dualscope: nothing is sent anywhere; selections go over a QWebChannel.
(function () {
    'use strict';

    let bridge = null;
    let loading = 0;
    let quiet = false;
    let reported = false;

    const patchHost = (Host) => {
        // Without these Netron asks for consent (after a call to ipinfo.io), sends telemetry and
        // asks for updates.
        Host.prototype.view = async function (view) { this._view = view; };
        Host.prototype.event = function () {};
        Host.prototype.exception = function () {};
        Host.prototype.openURL = function () {};
        // Opening files is the window's job.
        Host.prototype.start = async function () { bridge.started(); };
        const message = Host.prototype.message;
        Host.prototype.message = async function (text, alert, action) {
            if (!alert) {
                // "This large graph may take long", with its button to cancel.
                return message.call(this, text, alert, action);
            }
            reported = true;
            bridge.failed(String(text));
            return 0;
        };
    };

    const firstOutput = (node) => {
        const outputs = node && node.outputs ? node.outputs : [];
        const values = outputs.length > 0 && outputs[0].value ? outputs[0].value : [];
        return values.length > 0 && values[0] ? String(values[0].name).split('\n')[0] : '';
    };

    const patchGraph = (Graph) => {
        const emit = Graph.prototype.emit;
        Graph.prototype.emit = function (event, data) {
            emit.call(this, event, data);
            if (event !== 'selectionchange' || quiet) {
                return;
            }
            const nodes = Array.from(this.selection).map((entry) => firstOutput(entry.value));
            const name = nodes.find((text) => text !== '');
            if (name !== undefined) {
                bridge.selected(name);
            }
        };
    };

    const allGraphs = () => {
        const target = window.__view__ ? window.__view__.target : null;
        return target ? [target] : [];
    };

    const findNode = (name) => {
        for (const graph of allGraphs()) {
            for (const value of graph._table.keys()) {
                if (value && value.outputs && firstOutput(value) === name) {
                    return [graph, value];
                }
            }
        }
        return null;
    };

    // --- heat map: only what is in view is coloured, since a large graph at once takes seconds ---

    let heat = new Map();
    let coloured = new Map();
    let waiting = false;
    let watched = null;
    const MARGIN = 200;

    const restore = (entry) => {
        for (const [element, fill] of entry.fills) {
            element.style.fill = fill;
        }
        entry.label.remove();
    };

    const colour = (node, [fill, text, label]) => {
        const header = node.blocks[0] && node.blocks[0]._entries ? node.blocks[0]._entries[0] : null;
        if (!header || !header.path) {
            return;
        }
        const fills = [[header.path, header.path.style.fill], [header.text, header.text.style.fill]];
        header.path.style.fill = fill;
        header.text.style.fill = text;
        const element = document.createElementNS('http://www.w3.org/2000/svg', 'text');
        element.setAttribute('class', 'dualscope-time');
        element.setAttribute('x', node.width + 5);
        element.setAttribute('y', 13);
        element.textContent = label;
        node.element.appendChild(element);
        coloured.set(node, { fills, label: element });
    };

    const colourView = () => {
        waiting = false;
        const graph = allGraphs()[0];
        const origin = document.getElementById('origin');
        const container = document.getElementById('target');
        if (!graph || !origin || !container || heat.size === 0) {
            return;
        }
        const place = origin.getScreenCTM();
        const bounds = container.getBoundingClientRect();
        for (const [value, node] of graph._table) {
            if (!value || !value.outputs || !node || !node.element || coloured.has(node)) {
                continue;
            }
            const x = place.a * node.x + place.e;
            const y = place.d * node.y + place.f;
            const near = x > bounds.left - MARGIN && x < bounds.right + MARGIN &&
                y > bounds.top - MARGIN && y < bounds.bottom + MARGIN;
            const found = near ? heat.get(firstOutput(value)) : undefined;
            if (found) {
                colour(node, found);
            }
        }
    };

    const colourSoon = () => {
        if (!waiting) {
            waiting = true;
            window.requestAnimationFrame(colourView);
        }
    };

    // Scrolling moves the view, zooming changes the size of the drawing.
    const watch = () => {
        const container = document.getElementById('target');
        const canvas = document.getElementById('canvas');
        if (watched === canvas || !canvas) {
            return;
        }
        watched = canvas;
        container.addEventListener('scroll', colourSoon);
        new ResizeObserver(colourSoon).observe(canvas);
        new ResizeObserver(colourSoon).observe(container);
    };

    // Called by the window.
    window.dualscope = {
        async open(url, name) {
            const turn = ++loading;
            const host = window.__view__._host;
            host._openURLs = [];
            reported = false;
            const status = await host._openModel(host._url(url), name, name);
            if (turn !== loading) {
                return;
            }
            const target = window.__view__.target;
            if (target && status === '') {
                coloured = new Map();
                watch();
                colourSoon();
                bridge.loaded(Array.from(target._table.keys()).filter((value) => value.outputs).length);
            } else if (!reported) {
                bridge.failed('');
            }
        },
        select(name) {
            const found = findNode(name);
            if (!found) {
                return false;
            }
            const [graph, value] = found;
            quiet = true;
            try {
                graph.scrollTo(graph.select([value]));
            } finally {
                quiet = false;
            }
            return true;
        },
        // Names of first outputs -> [fill, colour of the text, label]; an empty object clears.
        heat(colours) {
            coloured.forEach(restore);
            coloured = new Map();
            heat = new Map(Object.entries(colours));
            colourSoon();
        },
        clearSelection() {
            quiet = true;
            try {
                allGraphs().forEach((graph) => graph.select(null));
            } finally {
                quiet = false;
            }
        },
        zoom(factor) {
            const view = window.__view__;
            if (view && view.target) {
                view.target.zoom = factor === 0 ? 1 : view.target.zoom * factor;
            }
        },
        find() {
            window.__view__.find();
        },
        properties() {
            window.__view__.showTargetProperties();
        },
    };

    const preload = window.exports.preload;
    window.exports.preload = function (callback) {
        preload(function (value, error) {
            if (error) {
                callback(value, error);
                return;
            }
            patchHost(window.exports.browser.Host);
            patchGraph(window.exports.view.Graph);
            new window.QWebChannel(window.qt.webChannelTransport, (channel) => {
                bridge = channel.objects.bridge;
                callback(value, error);
            });
        });
    };
})();
