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
