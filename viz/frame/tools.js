// Part 2: lists, groups, names, scores, what-if, saving.
var row = (ul, i, value, cls) => {
  var li = el(ul, 'li', { title: says[i] });
  el(li, 'b', { 'class': cls }, value);
  el(li, 'span', {}, says[i]);
  li.onclick = (ev) => ev.shiftKey ? pin(i) : go(i, 1);
  li.onmouseenter = () => hover(i);
  li.onmouseleave = () => hover(-1);
  return li;
};
var side = (id, name, es, ends) => {
  var n = es.length;
  write(id + '-name', name + (n ? ': ' + (n > 40 ? '40 of ' : '') + n + ', share of input' : ': none shown'));
  empty(the[id]);
  es.slice(0, 40).forEach((e) => { row(the[id], ends[e], signed(w(e)), w(e) < 0 ? 'neg' : ''); });
};
var list = () => {
  var n = 0;
  empty(rows);
  ranked().forEach((i) => {
    if (!on[i] || hits && !hits[i] || n++ > 999) return;
    set(row(rows, i, K[i] === 'l' ? pct(chance[i]) : num(pulls[i]), 'num'), { id: 'o' + i, role: 'option' });
  });
  write('list-name', (hits ? 'Found: ' : 'Nodes by influence: ') + n);
};
var marked, mark = () => {
  marked?.removeAttribute('aria-selected');
  marked = the['o' + at];
  set(rows, { 'aria-activedescendant': marked?.id ?? '' });
  if (!marked) return;
  set(marked, { 'aria-selected': true });
  rows.scrollTop = marked.offsetTop - 60;
};
// go makes a node the current one; hold also keeps its edges lit (2: always)
var go = (i, hold) => {
  if (!(i >= 0)) return;
  var was = home[at];
  at = i;
  if (home[i] !== was) { // open its group, close the other
    select();
    drawNodes();
    list();
  }
  if (hold) focus = focus === i && hold < 2 ? -1 : i;
  else if (focus >= 0) focus = i;
  side('ins', 'Inputs', inputs(i), src);
  side('outs', 'Outputs', outputs(i), dst);
  say(hovers[i] + (pins[i] ? ' · pinned' : '') + (focus === i && cardOf[i] >= 0 ? ' · card below' : ''));
  write('pin', pins[i] ? 'Unpin' : 'Pin');
  field.value = groupOf(i)?.label ?? names[ids[i]] ?? '';
  the.un.disabled = !home[i];
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
var pin = (i = at) => {
  if (pins[i]) delete pins[i];
  else pins[i] = 1;
  redraw();
  go(i);
};
var redraw = () => {
  select();
  search();
  drawEdges();
  drawNodes();
  list();
  scores();
  if (!on[focus]) focus = -1;
  go(on[at] ? at : goal);
};
// card shows the feature card of a node, if there is one
var card = (i) => {
  [...the.cards.children].forEach((c, k) => { c.hidden = cardOf[i] !== k; });
};
var size = () => { parent.postMessage({ clt: 1, t: 'ready', h: doc.body.offsetHeight }, '*'); };

var rename = () => {
  var text = field.value.slice(0, 80);
  var g = groupOf(at);
  if (g) {
    g.label = text || 'group';
    g.guess = 0;
    regroup();
  } else {
    if (text) names[ids[at]] = text;
    else delete names[ids[at]];
    texts[at] = text || ids[at];
    says[at] = ids[at] + (text && ' ‘' + text + '’');
    hovers[at] = says[at] + hovers[at].slice(hovers[at].indexOf(' ·'));
  }
  redraw();
};
// regroups: these nodes leave their groups, and form the new one if there is one
var take = (list, made = []) => {
  for (var i in pins) if (i >= N || made[0] && list.includes(+i)) delete pins[i];
  groups = groups.map((g) => ({ ...g, nodes: g.nodes.filter((j) => !list.includes(j)) })).filter((g) => g.nodes[1]).concat(made);
  focus = over = -1;
  regroup();
  at = made[0] ? K.length - 1 : list[0];
  redraw();
};
// group joins nodes and whole groups
var group = (list = Object.keys(pins)) => {
  var nodes = [], label;
  list.forEach((i) => {
    var g = groupOf(i);
    if (g) label = g.label;
    if (g || 'fge'.includes(K[i])) nodes.push(...g?.nodes ?? [+i]);
  });
  if (!nodes[1]) return say(notes[0]);
  take(nodes, [{ label: label || 'group ' + (groups.length + 1), nodes: nodes, guess: 0 }]);
  field.focus();
  field.select();
};
// ungroup takes the current node out of its group, or undoes the current group
var ungroup = () => { if (home[at]) take(groupOf(at)?.nodes ?? [at]); };
var suggest = () => {
  var more = hints.filter((g) => !g.nodes.some((i) => home[i]));
  if (!more[0]) return say(notes[1]);
  groups.push(...more);
  regroup();
  redraw();
  say(notes[2]);
};
var said, say = (text) => { if (text !== said) write('live', said = text); };

// note fills numbers into a sentence
var note = (k, ...values) => notes[k].replace(/#/g, () => values.shift());
// scores of the pinned part: what is neither pinned nor input counts as error
var scores = () => {
  var keep = {}, a = {}, done = 0, all = 0, inputs = 0, probs = 0, n = 0, i;
  for (i in pins) (groupOf(i)?.nodes ?? [+i]).forEach((j) => {
    if (K[j] === 'f' && !keep[j]) n += keep[j] = 1;
  });
  rank.slice().sort((x, y) => layers[y] - layers[x]).forEach((t) => {
    var p = chance[t], c = p + (a[t] || 0);
    probs += p;
    if ('tp'.includes(K[t])) inputs += c;
    if (!c || !keep[t] && !p) return;
    all += c;
    into[t].forEach((e) => {
      var s = src[e], v = c * abs(w(e));
      if (!keep[s] && !'tp'.includes(K[s])) return;
      done += v;
      a[s] = (a[s] || 0) + v;
    });
  });
  write('scores', n ? note(9, n, (inputs / probs).toFixed(3), (done / all).toFixed(3)) : notes[3]);
};

// what if: the local replacement model is linear, so the effects of several
// changed features add up (Respond in package attribution)
var knob = () => {
  the.knobs.hidden = !turnable.includes(at);
  dial.value = knobs[at] ?? 1;
  write('times', '× ' + (+dial.value).toFixed(1));
};
var predict = () => {
  var v = turnable.concat(goals).map(() => 0), off = 0, used = 0, ul = empty(the.what);
  turnable.forEach((i, k) => {
    var push = ((knobs[i] ?? 1) - 1) * (1 + v[k] / acts[i]);
    if (push) used = 1;
    table[k].forEach((x, j) => { v[j] += push * x; });
  });
  turnable.forEach((i, k) => { if (!(i in knobs) && acts[i] + v[k] < 0) off++; });
  if (used) {
    el(ul, 'li', { 'class': 'dim' }, note(off ? 5 : 4, off));
    goals.map((i, k) => [i, v[turnable.length + k]]).sort((a, b) => abs(b[1]) - abs(a[1])).forEach((p) => {
      el(el(ul, 'li', {}, says[p[0]]), 'b', { 'class': p[1] < 0 ? 'neg' : '' }, ' ' + signed(p[1], num));
    });
  }
};

var state = () => {
  var id = (i) => ids[i];
  return { pins: Object.keys(pins).filter((i) => i < N).map(id), names, groups: groups.filter((g) => !g.guess).map((g) => ({ ...g, nodes: g.nodes.map(id) })) };
};
var code = () => {
  var s = state(), lines = [], call = (name, list) => { if (list[0]) lines.push(name + '(' + list.map((x) => JSON.stringify(x)).join(', ') + ')'); };
  call('Pin', s.pins);
  for (var i in s.names) call('Named', [i, s.names[i]]);
  s.groups.forEach((g) => { call('Group', [g.label, ...g.nodes]); });
  area.value = lines[0] ? 'g = g.' + lines.join('.\n\t') : notes[6];
  area.hidden = false;
  area.select();
  say(notes[doc.execCommand('copy') ? 7 : 8]);
};
var save = (name, data) => {
  set(doc.createElement('a'), { href: URL.createObjectURL(new Blob([data])), download: name }).click();
};
// picture is the graph as it stands, with every colour written out
var picture = () => {
  var out = the.base.cloneNode(true), style = getComputedStyle(doc.body);
  set(out, { 'class': pic.className }).append(...[the.rows, the.legend, the.nodes, the.veil, the.lit].map((e) => e.cloneNode(true)));
  el(out, 'style', {}, the.css.textContent);
  return new XMLSerializer().serializeToString(out).replace(/var\((--\w+)\)/g, (m, v) => style.getPropertyValue(v));
};
var png = () => {
  var i = new Image(), c = pen.canvas;
  i.onload = () => {
    set(c, { width: 2 * W, height: 2 * H });
    pen.drawImage(i, 0, 0, 2 * W, 2 * H);
    c.toBlob((b) => save('graph.png', b));
  };
  i.src = 'data:image/svg+xml,' + encodeURIComponent(picture());
};
var search = () => {
  var q = find.value.trim().toLowerCase(), n = 0;
  hits = q ? {} : 0;
  if (q) all.forEach((i) => { if (on[i] && (says[i] + ids[i]).toLowerCase().includes(q)) n += hits[i] = 1; });
  write('found', q ? n + ' found' : '');
};
