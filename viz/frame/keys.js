// Part 3: pointer and keys.
var tip = $('tip'), from = null;
var place = (ev) => {
  var b = pic.getBoundingClientRect(), k = 2 * W / b.width;
  return [(ev.clientX - b.left) * k, (ev.clientY - b.top) * k, k];
};
// pick is the nearest node under the pointer
var pick = (ev) => {
  var p = place(ev), best = -1, least = (ev.pointerType === 'touch' ? 32 : 24) * p[2];
  K.forEach((k, i) => {
    if (!on[i]) return;
    var half = wides[i] / 2, d = hypot(max(0, abs(p[0] - xs[i]) - half), half ? max(0, abs(p[1] - ys[i]) - rs[i]) : p[1] - ys[i]);
    if (d < least) { least = d; best = i; }
  });
  return best;
};
var box = (ev) => {
  var p = place(ev), x = min(p[0], from[0]), y = min(p[1], from[1]);
  return { x: x, y: y, width: abs(p[0] - from[0]), height: abs(p[1] - from[1]) };
};
pic.onpointerdown = (ev) => { if (ev.button === 0 && ev.pointerType !== 'touch' && pick(ev) < 0) from = place(ev); };
pic.onpointermove = (ev) => {
  if (from) return set($('box'), box(ev));
  var i = pick(ev);
  hover(i);
  pic.style.cursor = i < 0 ? 'default' : 'pointer';
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.textContent = hovers[i];
  var k = pic.clientWidth / (2 * W), x = xs[i] * k, y = ys[i] * k;
  tip.style = 'left:' + max(0, min(x - 100, pic.clientWidth - 330)) + 'px;' + (y < 90 ? 'top:' + (y + 24) : 'bottom:' + (pic.clientHeight - y + 22)) + 'px';
};
pic.onpointerleave = () => {
  hover(-1);
  tip.hidden = true;
};
pic.onclick = (ev) => {
  var b = from && box(ev), i = pick(ev);
  set($('box'), { width: 0, height: 0 });
  from = null;
  if (b && b.width + b.height > 20) {
    K.forEach((k, i) => { if (on[i] && 'fegs'.includes(k) && xs[i] > b.x && xs[i] < b.x + b.width && ys[i] > b.y && ys[i] < b.y + b.height) pins[i] = 1; });
    redraw();
  } else if (i < 0) clear();
  else if (ev.shiftKey) pin(i);
  else go(i, 1);
};

// near is the next node of the same layer
var near = (step) => {
  var best = -1;
  K.forEach((k, i) => {
    var dx = (xs[i] - xs[at]) * step;
    if (on[i] && i !== at && layers[i] === layers[at] && dx > 0 && (best < 0 || dx < (xs[best] - xs[at]) * step)) best = i;
  });
  return best;
};
var toggle = (id) => {
  $(id).checked = !$(id).checked;
  redraw();
};
var step = (d) => {
  cut.value = +cut.value + d;
  redraw();
};
var help = () => { $('keys').open ^= 1; };
doc.onkeydown = (ev) => {
  var k = ev.key, to = ev.target, typing = to.matches('[type=search],[type=text],textarea'), found = ranked().find((i) => hits?.[i]);
  if (ev.ctrlKey || ev.metaKey || ev.altKey) return;
  if (k === 'Escape') {
    if (find.value) {
      find.value = '';
      search();
    } else clear();
    $('code').hidden = true;
    if (typing) $('list').focus();
    return;
  }
  if (typing) {
    if (k !== 'Enter' || to.id === 'code') return;
    if (to === find) go(found, 2);
    $('list').focus();
    return;
  }
  if (k[1] && to.matches('input,button,summary')) return;
  var act = {
    ArrowUp: () => go(dst[outputs(at)[0]]),
    ArrowDown: () => go(src[inputs(at)[0]]),
    ArrowLeft: () => go(near(-1)),
    ArrowRight: () => go(near(1)),
    Enter: () => go(at, 1),
    p: () => pin(at), g: group, u: ungroup, e: () => toggle('err'), b: () => toggle('inp'),
    '[': () => step(-5), ']': () => step(5), '/': () => find.focus(), '?': help
  }[k[1] ? k : k.toLowerCase()];
  if (act) {
    act();
    ev.preventDefault();
  }
};
var clicks = {
  group, suggest, png, pin: () => pin(at), un: ungroup, go: code,
  svg: () => save('graph.svg', picture(), 'image/svg+xml'),
  json: () => save('view.json', JSON.stringify({ format: 'clt-view/1', view: state(), graph: JSON.parse(source) })),
  reset: () => turn({})
};
for (var id in clicks) $(id).onclick = clicks[id];
field.onchange = rename;
find.oninput = search;
var turn = (all) => {
  knobs = all;
  knob();
  predict();
};
$('knob').oninput = () => turn({ ...knobs, [at]: +$('knob').value });
['cut', 'eff', 'act', 'err', 'inp'].forEach((id) => { $(id).oninput = redraw; });
addEventListener('message', (ev) => {
  var m = ev.data;
  if (ev.source === parent && m && m.clt === 1 && m.t === 'theme') set(root, { 'data-theme': m.mode === 'dark' ? 'dark' : 'light' });
});
addEventListener('resize', size);
$('keys').ontoggle = size;
regroup();
redraw();
$('scroll').scrollLeft = 1e4;
