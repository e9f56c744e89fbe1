// Part 2: lists, groups, names, scores, what-if, saving.
var row = (ul, i, value, cls) => {
  var li = html(ul, 'li', '', '');
  html(li, 'b', cls, value);
  html(li, 'span', '', says[i]);
  li.title = says[i];
  li.onclick = (ev) => ev.shiftKey ? pin(i) : go(i, 1);
  li.onmouseenter = () => hover(i);
  li.onmouseleave = () => hover(-1);
  return li;
};
var side = (id, name, es, ends) => {
  var few = es.slice(0, 40), n = es.length;
  $(id + '-name').textContent = name + (n ? ': ' + (n > 40 ? '40 of ' : '') + n + ', share of input' : ': none shown');
  empty(id);
  few.forEach((e) => { row($(id), ends[e], signed(w(e)), w(e) < 0 ? 'neg' : ''); });
};
var list = () => {
  var ul = empty('list'), n = 0;
  ranked().forEach((i) => {
    if (!on[i] || hits && !hits[i] || n++ > 999) return;
    set(row(ul, i, K[i] === 'l' ? pct(chance[i]) : num(pulls[i]), 'num'), { id: 'o' + i, role: 'option' });
  });
  $('list-name').textContent = (hits ? 'Found: ' : 'Nodes by influence: ') + n;
};
var marked, mark = () => {
  var ul = $('list'), now = $('o' + at);
  if (marked) marked.removeAttribute('aria-selected');
  ul.removeAttribute('aria-activedescendant');
  marked = now;
  if (!now) return;
  set(now, { 'aria-selected': true });
  set(ul, { 'aria-activedescendant': now.id });
  ul.scrollTop = now.offsetTop - ul.offsetTop - 60;
};
// go makes a node the current one; hold also keeps its edges lit (2: always)
var go = (i, hold) => {
  if (!(i >= 0)) return;
  at = i;
  if (hold) focus = focus === i && hold < 2 ? -1 : i;
  else if (focus >= 0) focus = i;
  side('ins', 'Inputs', inputs(i), src);
  side('outs', 'Outputs', outputs(i), dst);
  say(hovers[i] + (pins[i] ? ' · pinned' : ''));
  $('pin').textContent = pins[i] ? 'Unpin' : 'Pin';
  field.value = groupOf(i)?.label ?? names[i] ?? '';
  $('un').disabled = !groupOf(i);
  card(focus);
  knob();
  mark();
  highlight(over >= 0 ? over : focus);
};
var hover = (i) => {
  if (i === over) return;
  over = i;
  highlight(i >= 0 ? i : focus);
};
var clear = () => {
  focus = -1;
  card(-1);
  highlight(-1);
};
var pin = (i) => {
  if (pins[i]) delete pins[i];
  else pins[i] = 1;
  redraw();
  go(i);
};
var redraw = () => {
  select();
  drawEdges();
  drawNodes();
  list();
  scores();
  if (!on[focus]) focus = -1;
  go(on[at] ? at : goal);
};
// card shows the feature card of a node, if there is one
var card = (i) => {
  [...$('cards').children].forEach((c, k) => { c.hidden = i < 0 || cardOf[i] !== k; });
  size();
};
var size = () => { if (parent !== window) parent.postMessage({ clt: 1, t: 'ready', h: doc.body.offsetHeight }, '*'); };

var rename = () => {
  var text = field.value.slice(0, 80);
  var g = groupOf(at);
  if (g) {
    g.label = text || 'group';
    g.guess = 0;
    regroup();
  } else {
    names[at] = text;
    texts[at] = text || ids[at];
    says[at] = ids[at] + (text && ' ‘' + text + '’');
    hovers[at] = says[at] + hovers[at].slice(hovers[at].indexOf(' ·'));
  }
  redraw();
};
// group joins the pinned nodes that are in no group yet; several groups merge
var group = () => {
  var nodes = [], label = '';
  for (var i in pins) {
    var g = groupOf(i);
    if (g) {
      nodes.push(...g.nodes);
      label = g.label;
    } else if ('fge'.includes(K[i])) nodes.push(+i);
  }
  if (nodes.length < 2) return say(notes[0]);
  groups = groups.filter((g, k) => !pins[N + k]).concat({ label: label || 'group ' + (groups.length + 1), nodes: nodes, guess: 0 });
  pins = {};
  regroup();
  at = K.length - 1;
  redraw();
  field.focus();
  field.select();
};
var ungroup = () => {
  if (!groupOf(at)) return;
  var g = groups.splice(at - N, 1)[0];
  for (var i in pins) if (groupOf(i)) delete pins[i];
  regroup();
  at = g.nodes[0];
  redraw();
};
var suggest = () => {
  var more = hints.filter((g) => !g.nodes.some((i) => home[i]));
  if (!more.length) return say(notes[1]);
  groups = groups.concat(more);
  regroup();
  redraw();
  say(notes[2]);
};
var say = (text) => { live.textContent = text; };

// scores of the pinned part: what is neither pinned nor input counts as error
var scores = () => {
  var keep = {}, a = {}, done = 0, all = 0, inputs = 0, probs = 0, n = 0, i;
  for (i in pins) (groupOf(i)?.nodes ?? [+i]).forEach((j) => {
    if (K[j] === 'f' && !keep[j]) n += keep[j] = 1;
  });
  rank.slice().sort((x, y) => layers[y] - layers[x]).forEach((t) => {
    var p = K[t] === 'l' ? chance[t] : 0, c = p + (a[t] || 0);
    probs += p;
    if ('tp'.includes(K[t])) inputs += c;
    if (!c || !keep[t] && !p) return;
    all += c;
    for (var e = 0; e < E; e++) {
      var s = src[e], v = c * abs(w(e));
      if (dst[e] !== t || !keep[s] && !'tp'.includes(K[s])) continue;
      done += v;
      a[s] = (a[s] || 0) + v;
    }
  });
  $('scores').textContent = n ? notes[9].replace('#', n).replace('#', (inputs / probs).toFixed(3)).replace('#', (done / all).toFixed(3)) : notes[3];
};

// what if: the local replacement model is linear, so the effects of several
// changed features add up (Respond in package attribution)
var knob = () => {
  var k = effects.nodes.indexOf(at);
  $('knobs').hidden = k < 0;
  $('knob').value = knobs[at] ?? 1;
  $('times').textContent = '× ' + (+$('knob').value).toFixed(1);
};
var predict = () => {
  var T = effects, n = T.nodes.length, v = T.nodes.concat(T.goals).map(() => 0), off = 0, used = 0;
  T.nodes.forEach((i, k) => {
    var a = acts[i], push = (knobs[i] ?? 1) - 1;
    if (!push) return;
    used++;
    push *= 1 + v[k] / a;
    T.effects[k].forEach((x, j) => { v[j] += push * x; });
  });
  T.nodes.forEach((i, k) => { if (!(i in knobs) && acts[i] + v[k] < 0) off++; });
  var ul = empty('what');
  if (!used) return size();
  html(ul, 'li', 'dim', notes[off ? 5 : 4].replace('#', off));
  T.goals.map((i, k) => [i, v[n + k]]).sort((a, b) => abs(b[1]) - abs(a[1])).slice(0, 6).forEach((p) => {
    html(ul, 'li', '', says[p[0]]).append(html(ul, 'b', p[1] < 0 ? 'neg' : '', ' ' + signed(p[1], num)));
  });
  size();
};

var state = () => {
  var id = (i) => ids[i], named = {};
  for (var i in names) if (names[i]) named[ids[i]] = names[i];
  return { pins: Object.keys(pins).filter((i) => i < N).map(id), names: named, groups: groups.filter((g) => !g.guess).map((g) => ({ label: g.label, nodes: g.nodes.map(id) })) };
};
var code = () => {
  var s = state(), q = JSON.stringify, lines = [];
  if (s.pins.length) lines.push('Pin(' + s.pins.map(q).join(', ') + ')');
  for (var i in s.names) lines.push('Named(' + q(i) + ', ' + q(s.names[i]) + ')');
  s.groups.forEach((g) => { lines.push('Group(' + [g.label].concat(g.nodes).map(q).join(', ') + ')'); });
  var box = $('code');
  box.value = lines.length ? 'g = g.' + lines.join('.\n\t') : notes[6];
  box.hidden = false;
  size();
  box.select();
  say(doc.execCommand('copy') ? notes[7] : notes[8]);
};
var save = (name, data, type) => {
  var a = doc.createElement('a');
  a.href = URL.createObjectURL(new Blob([data], { type: type }));
  a.download = name;
  a.click();
};
// picture is the graph as it stands, with every colour written out
var picture = () => {
  var out = doc.querySelector('.base').cloneNode(true), style = getComputedStyle(root);
  ['nodes', 'live-edges'].map($).forEach((e) => { out.append(e.cloneNode(true)); });
  el(out, 'style', {}, doc.querySelector('style').textContent);
  return new XMLSerializer().serializeToString(out).replace(/var\((--\w+)\)/g, (m, v) => style.getPropertyValue(v));
};
var png = () => {
  var i = new Image(), c = doc.createElement('canvas');
  i.onload = () => {
    c.width = 2 * W;
    c.height = 2 * H;
    c.getContext('2d').drawImage(i, 0, 0, c.width, c.height);
    c.toBlob((b) => save('graph.png', b));
  };
  i.src = 'data:image/svg+xml,' + encodeURIComponent(picture());
};
var search = () => {
  var q = find.value.trim().toLowerCase(), n = 0;
  hits = q ? {} : null;
  if (q) K.forEach((k, i) => { if (on[i] && (says[i] + ' ' + ids[i]).toLowerCase().includes(q)) n += hits[i] = 1; });
  $('found').textContent = q ? n + ' found' : '';
  drawNodes();
  list();
  mark();
};
