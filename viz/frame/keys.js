// Part 3: pointer and keys.
var start = 0, held = -1, stays;
var place = (ev) => {
  var b = pic.getBoundingClientRect(), k = 2 * W / b.width;
  return [(ev.clientX - b.left) * k, (ev.clientY - b.top) * k, k];
};
// pick is the nearest node under the pointer; for what is dragged (skip), under
// its very tip. A part comes before the box that covers it.
var pick = (ev, skip) => {
  var [x, y, k] = place(ev), best = -1, least = (skip >= 0 ? 8 : ev.pointerType === 'touch' ? 32 : 24) * k;
  all.forEach((i) => {
    if (!on[i] || i === skip) return;
    var wide = wides[i] / 2, d = hypot(max(0, abs(x - xs[i]) - wide), wide ? max(0, abs(y - ys[i]) - rs[i]) : y - ys[i]) - 9 * part(i);
    if (d < least) { least = d; best = i; }
  });
  return best;
};
// drop ends a drag of node i at a place, over node o or none: what can be in a
// group joins what it is dropped on; a part that is dropped elsewhere leaves its
// group; a box stays where it is put
var drop = (i, o, x, y) => {
  var same = home[i] && home[i] === home[o], joins = 'fges'.includes(K[o]);
  if (K[i] === 's' && (same || !joins)) move(i, x, y);
  else if (joins && !same) group([i, o]);
  else if (part(i) && !same) take([i]);
};
var move = (i, x, y) => {
  groupOf(i).at = [round(x), round(y)];
  regroup();
  redraw();
};
// A finger drags the current node and the boxes of groups; elsewhere it scrolls.
pic.onpointerdown = (ev) => {
  if (ev.button) return;
  start = place(ev);
  held = pick(ev);
  stays = ev.pointerType === 'touch' && held !== focus && !groupOf(held);
};
pic.addEventListener('touchmove', (ev) => { if (!stays) ev.preventDefault(); }); // desktop browsers have no ontouchmove
pic.onpointermove = (ev) => {
  var i = pick(ev), [x, y] = place(ev);
  if (start && !stays) {
    var [u, v] = start, h = half(held), r = rs[held];
    if (held < 0) return set(frame, { x: min(x, u), y: min(y, v), width: abs(x - u), height: abs(y - v) });
    set(frame, { x: x - h, y: y - r, width: 2 * h, height: 2 * r });
    i = pick(ev, held);
  }
  hover(i);
  if (tip.hidden = i < 0) return;
  var e = around(focus).find((e) => src[e] + dst[e] - focus === i); // between it and the node that is held
  tip.textContent = hovers[i] + (e >= 0 && i !== focus ? ' · ' + signed(w(e)) + ' of the input of ' + says[dst[e]] : '');
  y = 50 * ys[i] / H;
  tip.style = '--x:' + 50 * xs[i] / W + '%;' + (y < 20 ? 'top:calc(' + y : 'bottom:calc(' + (100 - y)) + '% + 23px)';
};
var release = () => {
  set(frame, { width: 0 });
  start = 0;
};
pic.onpointerleave = () => {
  release();
  hover(-1);
  tip.hidden = true;
};
pic.onpointerup = (ev) => {
  if (!start) return;
  var [x, y] = place(ev), i = pick(ev), [u, v] = start, far = hypot(x - u, y - v) > 16;
  release();
  if (far && stays) return;
  if (far && held >= 0) drop(held, pick(ev, held), x, y);
  else if (far) {
    all.forEach((i) => { if (on[i] && 'fegs'.includes(K[i]) && (xs[i] - x) * (xs[i] - u) < 0 && (ys[i] - y) * (ys[i] - v) < 0) pins[i] = 1; });
    redraw();
  } else if (i < 0) clear();
  else if (ev.shiftKey) pin(i);
  else go(i, 1);
};

// near is the next node of the same layer
var near = (step) => {
  var away = (i) => (xs[i] - xs[at]) * step;
  return all.filter((i) => on[i] && layers[i] === layers[at] && away(i) > 0).sort((a, b) => away(a) - away(b))[0];
};
var step = (d) => {
  cut.stepUp(d);
  redraw();
};
doc.onkeydown = (ev) => {
  var k = ev.key, to = ev.target, typing = to === find || to === field || to === area;
  if (ev.ctrlKey || ev.metaKey || ev.altKey) return;
  if (k === 'Escape') {
    if (find.value) {
      find.value = '';
      redraw();
    } else clear();
    area.hidden = true;
    if (typing || the.cards.contains(to)) rows.focus();
    return;
  }
  if (typing) {
    if (k !== 'Enter' || to === area) return;
    if (to === find) go(ranked().find((i) => hits[i]), 2);
    rows.focus();
    return;
  }
  if (k[1] && to.matches('input,button,summary')) return;
  var way = 'LURD'.indexOf(k[5]);
  var act = way >= 0 && ev.shiftKey && groupOf(at) ? () => move(at, xs[at] + 24 * (way % 2 ? 0 : way - 1), ys[at] + 24 * (way % 2 && way - 2)) : {
    ArrowUp: () => go(dst[outputs(at)[0]]),
    ArrowDown: () => go(src[inputs(at)[0]]),
    ArrowLeft: () => go(near(-1)),
    ArrowRight: () => go(near(1)),
    Enter: () => go(at, 1),
    p: pin, g: group, u: ungroup, e: () => the.err.click(), b: () => the.inp.click(),
    '[': () => step(-5), ']': () => step(5), '/': () => find.focus(), '?': () => { the.keys.open ^= 1; }
  }[k[1] ? k : k.toLowerCase()];
  if (act) {
    act();
    ev.preventDefault();
  }
};
var turn = (all = {}) => {
  knobs = all;
  knob();
  predict();
};
var clicks = {
  group, suggest, png, pin, un: ungroup, go: code,
  svg: () => save('graph.svg', picture()),
  json: () => save('view.json', JSON.stringify({ format: 'clt-view/1', view: state(), graph: JSON.parse(source) })),
  reset: turn
};
for (let id in clicks) the[id].onclick = () => clicks[id]();
field.onchange = rename;
dial.oninput = () => turn({ ...knobs, [at]: +dial.value });
the.bar.oninput = redraw;
onmessage = (ev) => {
  if (ev.source === parent && ev.data?.clt) set(doc.documentElement, { 'data-theme': ev.data.mode });
};
regroup();
redraw();
new ResizeObserver(size).observe(doc.body);
