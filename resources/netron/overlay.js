// Netron inside of Dualscope: nothing is sent anywhere; selections go over a QWebChannel.
(function () {
    'use strict';

    let bridge = null;
    let loading = 0;
    let selecting = 0;
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

    // A body that is entered, or expanded, is a new drawing.
    const patchView = (View) => {
        for (const name of ['render', 'refresh']) {
            const draw = View.prototype[name];
            View.prototype[name] = async function (...values) {
                const result = await draw.apply(this, values);
                coloured = new Map();
                watch();
                colourSoon();
                return result;
            };
        }
    };

    const patchGraph = (Graph) => {
        const emit = Graph.prototype.emit;
        Graph.prototype.emit = function (event, data) {
            emit.call(this, event, data);
            if (event !== 'selectionchange' || quiet) {
                return;
            }
            const nodes = Array.from(this.selection)
                .map((entry) => isNode(entry.value) ? nameOf(entry.value) : '');
            const name = nodes.find((text) => text !== '');
            if (name !== undefined) {
                bridge.selected(name);
            }
        };
    };

    // --- nodes inside of nodes: "looped › body › h" is in the attribute `body` of the node `looped`,
    // "a › t" in the function that the node `a` calls ---

    const BETWEEN = ' › ';

    const bodies = (node) => (node.attributes || []).filter(
        (argument) => argument.type === 'graph' && argument.value && Array.isArray(argument.value.nodes));

    const calledFunction = (node) =>
        node.type && Array.isArray(node.type.nodes) && node.type.nodes.length > 0 ? node.type : null;

    // The way from the nodes of `graph` to `child`, a body or a called function; null if it isn't in.
    const wayTo = (graph, child, caller, around) => {
        for (const node of graph.nodes) {
            const name = around + firstOutput(node) + BETWEEN;
            if (calledFunction(node) === child && (!caller || caller === node)) {
                return name;
            }
            for (const body of bodies(node)) {
                const inner = name + body.name + BETWEEN;
                const found = body.value === child ? inner : wayTo(body.value, child, caller, inner);
                if (found !== null) {
                    return found;
                }
            }
        }
        return null;
    };

    // What the names of the shown graph's nodes begin with: Netron's path has the graph in front first.
    const shownWay = () => {
        const path = window.__view__._path;
        let way = '';
        for (let i = path.length - 1; i > 0; i--) {
            const child = path[i - 1].target;
            const context = path[i].state ? path[i].state.context : null;
            const caller = context && calledFunction(context) === child ? context : null;
            way += wayTo(path[i].target, child, caller, '') || '';
        }
        return way;
    };

    // The graph that is shown, and bodies that are expanded in it, each with its way.
    const allGraphs = () => {
        const target = window.__view__ ? window.__view__.target : null;
        const found = [];
        const collect = (graph, way) => {
            found.push([graph, way]);
            for (const node of graph._table.values()) {
                for (const block of node && node.blocks ? node.blocks : []) {
                    if (block.target && block.target._table) {
                        const inner = wayTo(graph.target, block.target.target, null, way);
                        collect(block.target, inner || way);
                    }
                }
            }
        };
        if (target && target._table) {
            collect(target, shownWay());
        }
        return found;
    };

    // Bodies stand in the table of their graph, too.
    const isNode = (value) => value && value.outputs && !Array.isArray(value.nodes);

    const nodesOf = (graph) => Array.from(graph._table).filter(
        ([value, node]) => isNode(value) && node && node.element);

    const nameOf = (value) => {
        const name = firstOutput(value);
        const found = allGraphs().find(([graph]) => graph._table.has(value));
        return name !== '' && found ? found[1] + name : name;
    };

    const findNode = (name) => {
        for (const [graph, way] of allGraphs()) {
            for (const [value] of nodesOf(graph)) {
                if (way + firstOutput(value) === name) {
                    return [graph, value];
                }
            }
        }
        return null;
    };

    // Show the graph that a node is in: from the model's own, inwards. False if there is none such.
    const enter = async (name, turn) => {
        const view = window.__view__;
        if (view._path.length > 1) {
            await view._updateTarget(view._model, view._path.slice(-1));
        }
        let way = '';
        const parts = name.split(BETWEEN);
        while (way + parts[parts.length - 1] !== name) {
            const rest = name.slice(way.length);
            const graph = view.activeTarget;
            let entered = false;
            for (const node of graph.nodes) {
                const head = firstOutput(node) + BETWEEN;
                if (!rest.startsWith(head)) {
                    continue;
                }
                const body = bodies(node).find(
                    (argument) => rest.startsWith(head + argument.name + BETWEEN));
                const child = body ? body.value : calledFunction(node);
                if (child) {
                    way += head + (body ? body.name + BETWEEN : '');
                    await view.pushTarget(child, body ? child : node);
                    entered = true;
                    break;
                }
            }
            if (!entered || turn !== selecting) {
                return false;
            }
        }
        return true;
    };

    const show = (found) => {
        const [graph, value] = found;
        quiet = true;
        try {
            const elements = graph.select([value]);
            // Of an expanded body, the places are its own: the page scrolls to the drawing instead.
            if (graph === window.__view__.target) {
                graph.scrollTo(elements);
            } else {
                elements[0].scrollIntoView({ block: 'center', inline: 'center' });
            }
        } finally {
            quiet = false;
        }
    };

    // --- heat map: only what is in view is coloured, since a large graph at once takes seconds ---

    let heat = new Map();
    let coloured = new Map();
    let waiting = false;
    let watched = null;
    let drawing = Promise.resolve();
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
        const graphs = allGraphs();
        const origin = document.getElementById('origin');
        const container = document.getElementById('target');
        if (graphs.length === 0 || !origin || !container || heat.size === 0) {
            return;
        }
        const place = origin.getScreenCTM();
        const bounds = container.getBoundingClientRect();
        const isNear = (x, y) => x > bounds.left - MARGIN && x < bounds.right + MARGIN &&
            y > bounds.top - MARGIN && y < bounds.bottom + MARGIN;
        for (const [graph, way] of graphs) {
            for (const [value, node] of nodesOf(graph)) {
                if (coloured.has(node)) {
                    continue;
                }
                let near = false;
                if (graph === graphs[0][0]) {
                    near = isNear(place.a * node.x + place.e, place.d * node.y + place.f);
                } else {
                    const box = node.element.getBoundingClientRect();
                    near = isNear(box.left, box.top);
                }
                const found = near ? heat.get(way + firstOutput(value)) : undefined;
                if (found) {
                    colour(node, found);
                }
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
        if (watched === null) {
            container.addEventListener('scroll', colourSoon);
            new ResizeObserver(colourSoon).observe(container);
        }
        watched = canvas;
        new ResizeObserver(colourSoon).observe(canvas);
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
                bridge.loaded(Array.from(target._table.keys()).filter(isNode).length);
            } else if (!reported) {
                bridge.failed('');
            }
        },
        async select(name) {
            const turn = ++selecting;
            const view = window.__view__;
            // Netron draws one graph at a time: another selection waits for its turn.
            await drawing;
            if (turn !== selecting || !view.target) {
                return;
            }
            if (!findNode(name)) {
                drawing = enter(name, turn).catch((error) => console.error(error));
                await drawing;
            }
            const found = turn === selecting ? findNode(name) : null;
            if (found) {
                show(found);
            }
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
                allGraphs().forEach(([graph]) => graph.select(null));
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
            patchView(window.exports.view.View);
            patchGraph(window.exports.view.Graph);
            new window.QWebChannel(window.qt.webChannelTransport, (channel) => {
                bridge = channel.objects.bridge;
                callback(value, error);
            });
        });
    };
})();
