// The interactive graph, part 1: state, and the picture. Parts 2 and 3 are
// tools.js and keys.js; scripts/frame.sh joins and shortens the three.
var { abs, max, min, round, hypot } = Math, doc = document;
// the[id] is an element
var the = new Proxy({}, { get: (_, id) => doc.getElementById(id) }), { pic, tip, cut, list: rows, knob: dial, code: area, name: field, q: find, box: frame } = the;
// the fields of frameData, frameNodes and whatIf in package viz, in their order
var source = the.data.textContent, [W, H, total, goal, most, pins, rank, buckets, groups, hints, effects, notes, kinds, nodes, src, dst, shares] = Object.values(JSON.parse(source));
var perNode = Object.values(nodes), [ids, texts, says, hovers, xs, ys, rs, wides, layers, columns, members, infls, chance, pulls, acts, looks, guesses, cardOf, labels] = perNode;
var [turnable, goals, table] = Object.values(effects), K = [...kinds], N = K.length, E = src.length;
// pins and knobs are by node, names by its id; groups have a label and nodes, and a place
// (at) once moved; home is the group that a node is in, and of a group itself
// all nodes with their groups; into and from are the edges of each, the strongest first
var on = [], all = [], names = {}, knobs = {}, home = [], order = [], into = [], from = [], taken = [], hits = 0, focus = -1, over = -1, at = goal;
// texts are measured off the page, where that costs no layout
var pen = doc.createElement('canvas').getContext('2d'), font = getComputedStyle(doc.body).fontFamily;

var set = (e, attrs) => {
  for (var k in attrs) e.setAttribute(k, attrs[k]);
  return e;
};
// el is a new last child, SVG in SVG and HTML in HTML
var el = (parent, name, attrs, text = '') => {
  var e = parent.appendChild(set(doc.createElementNS(parent.namespaceURI, name), attrs));
  e.textContent = text;
  return e;
};
var empty = (e) => {
  e.replaceChildren();
  return e;
};
var write = (id, text) => { the[id].textContent = text; };
var pct = (x) => {
  var a = x * 100;
  return (a < 0.005 && a ? '<0.01' : a ? a.toFixed(a < 0.995 ? 2 : a < 9.95 ? 1 : 0) : 0) + ' %';
};
var signed = (x, f = pct) => (x < 0 ? '−' : '+') + f(abs(x));
var num = (x) => +x.toPrecision(3);
var count = (n) => n > 9999 ? String(n).replace(/\B(?=(\d{3})+$)/g, '\u2009') : n;
var w = (e) => shares[e] / 1e4;
var score = (e) => abs(w(e)) * pulls[dst[e]];
// part: is it inside a group? Such a node is drawn while its group is open, which
// is when the group or a member is the current node.
var part = (i) => home[i] > i;
// shown: may edge e be drawn? The edges of parts are summed in those of their
// group, so only the part itself (i) has them.
var shown = (e, i) => on[src[e]] && on[dst[e]] && (part(i) || !part(src[e]) && !part(dst[e]));
var groupOf = (i) => groups[i - N];
var ranked = () => groups.map((g, k) => N + k).concat(rank);

var stronger = (a, b) => abs(shares[b]) - abs(shares[a]) || a - b;
var inputs = (i) => into[i].filter((e) => shown(e, i)), outputs = (i) => from[i].filter((e) => shown(e, i));
var around = (i) => i < 0 ? [] : inputs(i).concat(outputs(i)).sort(stronger);

// regroup draws each group as one node N, N+1 … at the mean of its members or
// where it was put. An edge between two of them is the sum of its members' shares
// over the input that comes from outside (Grouped in package attribution).
var regroup = () => {
  perNode.concat([K]).forEach((a) => { a.length = N; });
  src.length = dst.length = shares.length = E;
  home = [];
  var ext = {}, sums = {}, boxes = [];
  groups.forEach((g, k) => {
    var i = N + k, m = g.nodes, n = m.length, label = g.label.slice(0, 22) + (g.guess ? '?' : ''), add = (a) => m.reduce((s, j) => s + a[j], 0);
    m.concat(i).forEach((j) => { home[j] = i; });
    ext[i] = n;
    var wide = 13 * label.length + 63, [x, y] = g.at || [add(xs) / n, add(ys) / n], say = 'group ‘' + label + '’ of ' + n, edge = wide / 2 + 8;
    x = max(edge, min(2 * W - edge, x));
    boxes.forEach((b) => { if (!g.at && abs(b[1] - y) < 56 && abs(b[0] - x) < (b[2] + wide) / 2 + 12) y = b[1] - 62; });
    boxes.push([x, y, wide]);
    K[i] = 's';
    [g.label, label + ' · ' + n, say, say + ' · influence ' + num(add(pulls)), x, y, 26, wide, add(layers) / n, -i, add(members), add(infls), 0, add(pulls), 0, ' strong', g.guess, -1, 0].forEach((v, n) => { perNode[n][i] = v; });
  });
  for (var e = 0; e < E; e++) {
    var s = src[e], t = dst[e], S = home[s] ?? s, T = home[t] ?? t, key = S * 1e5 + T;
    if (S === T) ext[T] -= abs(w(e));
    else if (S !== s || T !== t) sums[key] = (sums[key] || 0) + shares[e];
  }
  for (key in sums) {
    t = key % 1e5;
    src.push((key - t) / 1e5);
    dst.push(t);
    shares.push(sums[key] / max(0.01, ext[t] || 1));
  }
  order = src.map((s, e) => e);
  all = K.map((k, i) => i);
  into = K.map(() => []);
  from = K.map(() => []);
  order.slice().sort(stronger).forEach((e) => {
    into[dst[e]].push(e);
    from[src[e]].push(e);
  });
  if (groups[0]) order.sort((a, b) => score(b) - score(a) || a - b);
};

// select says which nodes are shown: by cumulative influence, switches, pins
var select = () => {
  var limit = cut.value === cut.max ? 9 : cut.value / 100, sum = 0, infl = 0, n = 0, least = most * the.act.value / 100;
  ranked().forEach((i) => {
    var k = K[i], keep = sum < limit;
    if ('fget'.includes(k)) sum += infls[i];
    if (k === 'e' && !the.err.checked || k === 'f' && acts[i] < least) keep = 0;
    if ('pb'.includes(k)) keep = the.inp.checked;
    if ('tls'.includes(k) || pins[i]) keep = 1;
    on[i] = keep && (!part(i) || home[i] === home[at]);
    if (!on[i] || part(i)) return;
    n += members[i];
    if (k !== 'l') infl += infls[i];
  });
  write('sum', count(n) + ' of ' + count(total) + ' nodes, ' + pct(infl) + ' of influence');
};

var curve = (e) => {
  var s = src[e], t = dst[e], x0 = xs[s], y0 = ys[s] - rs[s], x1 = xs[t], y1 = ys[t] + rs[t];
  var bow = columns[s] === columns[t] ? -min(68, 12 * (layers[t] - layers[s] - 1)) : 0, dy = round(0.45 * (y1 - y0));
  return 'M' + [x0, y0] + 'c' + [bow, dy, x1 - x0 + bow, y1 - y0 - dy, x1 - x0, y1 - y0];
};

// drawEdges is the overview: what carries most of the effect on the targets
var drawEdges = () => {
  var g = empty(the.edges), list = order.filter((e) => shown(e) && K[src[e]] !== 'b'), sum = list.reduce((s, e) => s + score(e), 0), part = 0, carried = 0, d = [], n = 0;
  while (n < list.length && n < 600 && carried < sum * the.eff.value / 100) carried += score(list[n++]);
  list.slice(0, n).forEach((e) => {
    var k = buckets.findIndex((b) => part / carried < b);
    part += score(e);
    if (w(e) < 0) k += 4;
    d[k] = (d[k] || '') + curve(e);
  });
  doc.body.style = '--faint:' + max(0.2, 0.45 - 0.12 * Math.log(max(1, n / 60)));
  [3, 7, 2, 6, 1, 5, 0, 4].forEach((k) => { if (d[k]) el(g, 'path', { d: d[k], 'class': 'edge b' + k % 4 + (k > 3 ? ' neg' : '') }); });
};

var word = (parent, x, y, cls, text) => el(parent, 'text', { x: x, y: y, 'class': 'name ' + cls }, text);
var half = (i) => max(rs[i], wides[i] / 2);
var occupy = (i) => { taken.push([xs[i] - half(i), ys[i] - rs[i], xs[i] + half(i), ys[i] + rs[i]]); };
var shape = (parent, i) => {
  var k = K[i], x = xs[i], y = ys[i], r = rs[i], h = half(i), mine = i === goal ? ' goal' : '', c = 'node ' + k + mine + (pins[i] ? ' pin' : '') + (hits[i] ? ' hit' : '') + looks[i] + (part(i) ? ' part' : '');
  occupy(i);
  if (wides[i]) {
    el(parent, 'rect', { x: x - h, y: y - r, width: 2 * h, height: 2 * r, rx: 8, 'class': c });
    return word(parent, x, y + 8, 'a1' + mine + (guesses[i] ? ' guess' : ''), texts[i]);
  }
  if (k === 'g') return word(parent, x, y + 7, 'a1 halo few', texts[i]);
  if (k === 'f') return el(parent, 'circle', { cx: x, cy: y, r: r, 'class': c });
  return el(parent, 'path', { d: 'M' + [x, y - r] + 'l' + (k === 'e' ? [r, r, -r, r, -r, -r] : [r, 2 * r - 2, -2 * r, 0]) + 'z', 'class': c });
};
// put writes beside a node where nothing stands yet: at the first free one of
// these places (x, y, anchor), or not at all
var put = (parent, i, cls, text, places) => {
  pen.font = (cls === 'goal' ? '600 22px ' : '22px ') + font;
  var x = xs[i], y = ys[i], h = half(i) + 6, n = pen.measureText(text).width;
  (places || [[x + h, y + 8, 0], [x - h, y + 8, 2], [x, y - rs[i] - 8, 1], [x, y + rs[i] + 22, 1]]).some(([x, y, a]) => {
    x -= n * a / 2;
    var b = [x, y - 18, x + n, y + 4];
    return x > 0 && b[2] < 2 * W && taken.every((t) => x > t[2] || t[0] > b[2] || b[1] > t[3] || t[1] > b[3]) && taken.push(b) && word(parent, x, y, cls + ' halo', text);
  });
};
var label = (parent, i, bold) => {
  var l = labels[i];
  if (l || (pins[i] || names[ids[i]] || bold) && !wides[i]) put(parent, i, guesses[i] && !names[ids[i]] ? 'guess' : '', texts[i], l && [l]);
};
var drawNodes = () => {
  var g = empty(the.nodes);
  taken = [];
  [shape, label].forEach((f) => { all.forEach((i) => { if (on[i]) f(g, i); }); });
};

// highlight is the live layer: the edges of one node, its neighbours filled by
// sign, and behind them the strongest path through it, from an input to a target
var highlight = (i) => {
  var g = empty(the.lit);
  pic.className = i < 0 ? '' : 'dim';
  if (i < 0) return;
  var lit = around(i).slice(0, 60), far = (e) => src[e] + dst[e] - i, trail = '';
  [[inputs, src], [outputs, dst]].forEach(([links, next]) => { for (var j = i, e; !trail[2e3] && (e = links(j)[0]) >= 0; j = next[e]) trail += curve(e); }); // groups may make a ring
  el(g, 'path', { d: trail, 'class': 'trail' });
  lit.reduceRight((_, e) => {
    var v = w(e), neg = v < 0 ? ' neg' : '', t = dst[e];
    el(g, 'path', { d: curve(e), 'class': 'edge' + neg, 'stroke-width': 2 + 8 * Math.sqrt(min(1, abs(v))) });
    el(g, 'path', { d: 'M' + [xs[t], ys[t] + rs[t]] + 'l6 10h-12z', 'class': 'tip' + neg });
  }, 0);
  taken = [];
  wides.forEach((w, j) => { if (w && on[j]) occupy(j); });
  lit.forEach((e) => {
    var o = far(e), dot = shape(g, o);
    if ('fe'.includes(K[o])) dot.style = 'fill:var(--' + (w(e) < 0 ? 'neg' : 'pos') + ');fill-opacity:' + (0.25 + 2 * abs(w(e)));
  });
  shape(g, i);
  var r = rs[i] + 8, h = half(i) + 8;
  el(g, 'rect', { x: xs[i] - h, y: ys[i] - r, width: 2 * h, height: 2 * r, rx: r, 'class': 'ring' });
  label(g, i, 1);
  lit.slice(0, 5).forEach((e) => { put(g, far(e), 'goal', signed(w(e))); });
  lit.forEach((e) => { label(g, far(e)); });
};
