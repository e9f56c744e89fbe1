// The interactive graph, part 1: state, and the picture. Parts 2 and 3 are
// tools.js and keys.js; scripts/frame.sh joins and shortens the three.
var { abs, max, min, round, hypot, sqrt, log } = Math, doc = document, root = doc.documentElement, NS = 'http://www.w3.org/2000/svg';
var $ = (id) => doc.getElementById(id), pic = $('pic'), live = $('live'), field = $('name'), find = $('q'), cut = $('cut');
var source = $('data').textContent, D = JSON.parse(source);
var { s: src, t: dst, w: shares, rank, buckets, what: effects, goal, W, H, total, most, hints, notes, nodes } = D;
var { id: ids, text: texts, say: says, hover: hovers, x: xs, y: ys, r: rs, wide: wides, row: layers, col: columns, members, infl: infls, prob: chance, pull: pulls, act: acts, strong: strongs, guess: guesses, both: boths, card: cardOf, label: labels } = nodes;
var K = D.kind.split(''), N = K.length, E = src.length;
// pins, names and knobs are by node; groups have a label and nodes; home is the
// group that a node is drawn in
var on = [], pins = {}, names = {}, knobs = {}, groups = D.groups, home = [], order = [], hits = null, focus = -1, over = -1, at = goal;
D.pins.forEach((i) => { pins[i] = 1; });

var set = (e, attrs) => {
  for (var k in attrs) e.setAttribute(k, attrs[k]);
  return e;
};
var el = (parent, name, attrs, text) => {
  var e = parent.appendChild(set(doc.createElementNS(NS, name), attrs));
  if (text !== undefined) e.textContent = text;
  return e;
};
var html = (parent, name, cls, text) => {
  var e = parent.appendChild(doc.createElement(name));
  e.className = cls;
  e.textContent = text;
  return e;
};
var empty = (id) => {
  $(id).replaceChildren();
  return $(id);
};
var pct = (x) => {
  var a = abs(x) * 100;
  return (a < 0.005 && a ? '<0.01' : a ? a.toFixed(a < 0.995 ? 2 : a < 9.95 ? 1 : 0) : 0) + ' %';
};
var signed = (x, f = pct) => (x < 0 ? '−' : '+') + f(abs(x));
var num = (x) => +x.toPrecision(3);
var count = (n) => n > 9999 ? String(n).replace(/\B(?=(\d{3})+$)/g, '\u2009') : n;
var w = (e) => shares[e] / 1e4;
var score = (e) => abs(w(e)) * pulls[dst[e]];
var shown = (e) => on[src[e]] && on[dst[e]];
var groupOf = (i) => groups[i - N];
var ranked = () => groups.map((g, k) => N + k).concat(rank);

// regroup draws each group as one node N, N+1 … at the mean of its members. An
// edge between two of them is the sum of its members' shares over the input that
// comes from outside (Grouped in package attribution).
var perNode = Object.values(nodes);
var regroup = () => {
  perNode.concat([K]).forEach((a) => { a.length = N; });
  src.length = dst.length = shares.length = E;
  home = [];
  var ext = {}, sums = {}, boxes = [];
  groups.forEach((g, k) => {
    var i = N + k, m = g.nodes, label = g.label.slice(0, 22) + (g.guess ? '?' : ''), add = (a) => m.reduce((s, j) => s + a[j], 0), mean = (a) => round(add(a) / m.length);
    m.forEach((j) => { home[j] = i; });
    ext[i] = m.length;
    var wide = 13 * label.length + 63, x = mean(xs), y = mean(ys);
    x = max(wide / 2 + 8, min(2 * W - wide / 2 - 8, x));
    boxes.forEach((b) => { if (abs(b.y - y) < 56 && abs(b.x - x) < (b.w + wide) / 2 + 12) y = b.y - 62; });
    boxes.push({ x: x, y: y, w: wide });
    var text = label + ' · ' + m.length, say = 'group ‘' + label + '’ of ' + m.length;
    K[i] = 's';
    [[g.label], [text], [say], [say + ' · influence ' + pct(add(infls))], [x], [y], [26], [wide], [add(layers) / m.length], [-i], [add(members)], [add(infls)], [0], [add(pulls)],
      [0], [1], [g.guess], [0], [-1], [0]].forEach((v, n) => { perNode[n][i] = v[0]; });
  });
  for (var e = 0; e < E; e++) {
    var s = src[e], t = dst[e], S = home[s] || s, T = home[t] || t;
    if (S === T) ext[T] -= abs(w(e));
    else if (S !== s || T !== t) sums[S + ' ' + T] = (sums[S + ' ' + T] || 0) + shares[e];
  }
  for (var key in sums) {
    var st = key.split(' ');
    src.push(+st[0]);
    dst.push(+st[1]);
    shares.push(sums[key] / max(0.01, ext[st[1]] || 1));
  }
  order = src.map((s, e) => e);
  if (groups.length) order.sort((a, b) => score(b) - score(a) || a - b);
};

// select says which nodes are shown: by cumulative influence, switches, pins
var select = () => {
  var limit = cut.value / 100, all = +cut.value >= +cut.max, sum = 0, infl = 0, n = 0, least = most * $('act').value / 100;
  ranked().forEach((i) => {
    var k = K[i], keep = all || sum < limit;
    if ('fget'.includes(k)) sum += infls[i];
    if (k === 'e' && !$('err').checked || k === 'f' && acts[i] < least) keep = false;
    if ('pb'.includes(k)) keep = $('inp').checked;
    if ('tls'.includes(k) || pins[i]) keep = true;
    on[i] = keep && !home[i];
    if (!on[i]) return;
    n += members[i];
    if (k !== 'l') infl += infls[i];
  });
  on.length = K.length;
  $('sum').textContent = count(n) + ' of ' + count(total) + ' nodes, ' + pct(infl) + ' of influence';
};

var curve = (e) => {
  var s = src[e], t = dst[e], x0 = xs[s], y0 = ys[s] - rs[s], x1 = xs[t], y1 = ys[t] + rs[t], rows = layers[t] - layers[s];
  var bow = columns[s] === columns[t] && rows > 1 ? -min(68, 12 * (rows - 1)) : 0, dy = round(0.45 * (y1 - y0));
  return 'M' + [x0, y0] + 'c' + [bow, dy, x1 - x0 + bow, y1 - y0 - dy, x1 - x0, y1 - y0];
};

// drawEdges is the overview: what carries most of the effect on the targets
var drawEdges = () => {
  var g = empty('edges'), all = order.filter((e) => shown(e) && K[src[e]] !== 'b'), sum = 0, part = 0, carried = 0, d = [], n = 0;
  all.forEach((e) => { sum += score(e); });
  while (n < all.length && n < 600 && carried < sum * $('eff').value / 100) carried += score(all[n++]);
  all.slice(0, n).forEach((e) => {
    var k = buckets.findIndex((b) => part / carried < b[0]);
    if (k < 0) k = 3;
    part += score(e);
    if (w(e) < 0) k += 4;
    d[k] = (d[k] || '') + curve(e);
  });
  var faint = max(0.2, 0.45 - 0.25 * log(max(1, n / 60)) / log(8));
  [3, 7, 2, 6, 1, 5, 0, 4].forEach((k) => {
    var b = buckets[k % 4];
    if (d[k]) el(g, 'path', { d: d[k], 'class': k > 3 ? 'edge neg' : 'edge', 'stroke-width': 2 * b[1], opacity: k % 4 === 3 ? faint : b[2], 'stroke-dasharray': k > 3 ? b[3] : 'none' });
  });
};

var shape = (parent, i) => {
  var k = K[i], x = xs[i], y = ys[i], r = rs[i], c = 'node ' + k + (pins[i] ? ' pin' : '') + (hits?.[i] ? ' hit' : '') + (boths[i] ? ' both' : '') + (i === goal ? ' goal' : '') + (strongs[i] ? ' strong' : '');
  if (wides[i]) {
    var chip = el(parent, 'rect', { x: x - wides[i] / 2, y: y - r, width: wides[i], height: 2 * r, rx: 8, 'class': c });
    el(parent, 'text', { x: x, y: y + 8, 'class': 'name a1' + (i === goal ? ' goal' : '') + (guesses[i] ? ' guess' : '') }, texts[i]);
    return chip;
  }
  if (k === 'g') return el(parent, 'text', { x: x, y: y + 7, 'class': 'name a1 halo few' }, texts[i]);
  if (k === 'f') return el(parent, 'circle', { cx: x, cy: y, r: r, 'class': c });
  return el(parent, 'path', { d: 'M' + [x, y - r] + 'l' + (k === 'e' ? [r, r, -r, r, -r, -r] : [r, 2 * r - 2, -2 * r, 0]) + 'z', 'class': c });
};
var label = (parent, i, bold) => {
  var l = labels[i] || (pins[i] || names[i] || bold) && !wides[i] && [xs[i] + rs[i] + 6, ys[i] + 8, 0];
  if (l) el(parent, 'text', { x: l[0], y: l[1], 'class': 'name halo a' + l[2] + (guesses[i] && !names[i] ? ' guess' : '') }, texts[i]);
};
var drawNodes = () => {
  var g = empty('nodes');
  [shape, label].forEach((f) => { K.forEach((k, i) => { if (on[i]) f(g, i); }); });
};

var links = (i, ends) => {
  var out = [];
  for (var e = 0; e < src.length; e++) if (ends[e] === i && shown(e)) out.push(e);
  return out.sort((a, b) => abs(shares[b]) - abs(shares[a]) || a - b);
};
var inputs = (i) => links(i, dst), outputs = (i) => links(i, src);

// highlight is the live layer: the edges of one node, its neighbours filled by sign
var highlight = (i) => {
  var g = empty('live-edges');
  pic.className = i < 0 ? '' : 'dim';
  if (i < 0) return;
  var lit = inputs(i).concat(outputs(i)).sort((a, b) => abs(shares[b]) - abs(shares[a])).slice(0, 60), far = (e) => src[e] === i ? dst[e] : src[e];
  lit.slice().reverse().forEach((e) => {
    var v = w(e), neg = v < 0 ? ' neg' : '', t = dst[e];
    el(g, 'path', { d: curve(e), 'class': 'edge' + neg, 'stroke-width': 2 + 8 * sqrt(min(1, abs(v))) });
    el(g, 'path', { d: 'M' + [xs[t], ys[t] + rs[t]] + 'l6 10h-12z', 'class': 'tip' + neg });
  });
  lit.forEach((e) => {
    var o = far(e), dot = shape(g, o);
    if (K[o] === 'f' || K[o] === 'e') dot.style = 'fill:var(--' + (w(e) < 0 ? 'neg' : 'pos') + ');fill-opacity:' + min(1, 0.25 + 2 * abs(w(e)));
    label(g, o);
  });
  shape(g, i);
  label(g, i, true);
  var r = rs[i] + 8, h = wides[i] ? wides[i] / 2 + 8 : r;
  el(g, 'rect', { x: xs[i] - h, y: ys[i] - r, width: 2 * h, height: 2 * r, rx: wides[i] ? 12 : r, 'class': 'ring' });
  lit.slice(0, 5).forEach((e) => {
    var o = far(e);
    el(g, 'text', { x: xs[o] - max(rs[o], wides[o] / 2) - 6, y: ys[o] + 8, 'class': 'name halo a2 goal' }, signed(w(e)));
  });
};
