(() => {
  'use strict';
  var D = JSON.parse(document.getElementById('data').textContent);
  var NS = 'http://www.w3.org/2000/svg', root = document.documentElement;
  var N = D.kind.length, E = D.s.length;
  var $ = (id) => { return document.getElementById(id); };
  var on = new Array(N), pins = {}, hits = null, focus = -1, over = -1, at = D.goal;
  D.pins.forEach((i) => { pins[i] = true; });

  function el(parent, name, attrs, text) {
    var e = document.createElementNS(NS, name);
    for (var k in attrs) e.setAttribute(k, attrs[k]);
    if (text !== undefined) e.textContent = text;
    parent.appendChild(e);
    return e;
  }
  function html(parent, name, cls, text) {
    var e = document.createElement(name);
    if (cls) e.className = cls;
    if (text !== undefined) e.textContent = text;
    parent.appendChild(e);
    return e;
  }
  function empty(e) { e.replaceChildren(); return e; }
  function pct(x) {
    var a = Math.abs(x) * 100;
    return (a < 0.005 ? '<0.01' : a < 0.995 ? a.toFixed(2) : a < 9.95 ? a.toFixed(1) : a.toFixed(0)) + ' %';
  }
  function signed(x) { return (x < 0 ? '−' : '+') + pct(x); }
  function group(n) { return String(n).replace(/\B(?=(\d{3})+$)/g, n > 9999 ? '\u2009' : ''); }
  function w(e) { return D.w[e] / 1e4; }
  function score(e) { return Math.abs(w(e)) * D.pull[D.t[e]]; }

  // which nodes are shown: by cumulative influence, switches, pins
  function select() {
    var limit = +$('cut').value / 100, sum = 0, shown = 0, n = 0;
    var last = limit >= +$('cut').max / 100;
    D.rank.forEach((i) => {
      var k = D.kind[i], keep = last || sum < limit;
      if ('fget'.indexOf(k) >= 0) sum += D.infl[i];
      if (k === 'e' && !$('err').checked) keep = false;
      if (k === 'p' || k === 'b') keep = $('inp').checked;
      if (k === 't' || k === 'l' || pins[i]) keep = true;
      on[i] = keep;
      if (keep) {
        n += D.members[i];
        if (k !== 'l') shown += D.infl[i];
      }
    });
    $('sum').textContent = group(n) + ' of ' + group(D.total) + ' nodes, ' + pct(shown) + ' of influence';
    return n;
  }

  function curve(e) {
    var s = D.s[e], t = D.t[e], x0 = D.x[s], y0 = D.y[s] - D.r[s], x1 = D.x[t], y1 = D.y[t] + D.r[t];
    var rows = D.row[t] - D.row[s], bow = D.col[s] === D.col[t] && rows > 1 ? -Math.min(68, 12 * (rows - 1)) : 0;
    var dy = Math.round(0.45 * (y1 - y0));
    return 'M' + [x0, y0] + 'c' + [bow, dy, x1 - x0 + bow, y1 - y0 - dy, x1 - x0, y1 - y0];
  }

  // the overview: what carries 95 % of the effect on the targets
  function drawEdges() {
    var g = empty($('edges')), all = [], sum = 0, part = 0, d = {}, n = 0, e;
    for (e = 0; e < E; e++) if (on[D.s[e]] && on[D.t[e]] && D.kind[D.s[e]] !== 'b') all.push(e);
    all.sort((a, b) => { return score(b) - score(a) || a - b; });
    all.forEach((e) => { sum += score(e); });
    for (; n < all.length && n < 600 && part < 0.95 * sum; n++) part += score(all[n]);
    var carried = part;
    part = 0;
    for (var i = 0; i < n; i++) {
      var k = 0;
      while (k < 3 && part / carried >= D.buckets[k][0]) k++;
      part += score(all[i]);
      k += w(all[i]) < 0 ? 4 : 0;
      d[k] = (d[k] || '') + curve(all[i]);
    }
    var faint = Math.max(0.2, 0.45 - 0.25 * Math.log(Math.max(1, n / 60)) / Math.log(8));
    [3, 7, 2, 6, 1, 5, 0, 4].forEach((k) => {
      if (!d[k]) return;
      var b = D.buckets[k % 4], a = { d: d[k], 'class': k > 3 ? 'edge neg' : 'edge', 'stroke-width': 2 * b[1], opacity: k % 4 === 3 ? faint : b[2] };
      if (k > 3) a['stroke-dasharray'] = b[3];
      el(g, 'path', a);
    });
  }

  function shape(parent, i, cls) {
    var k = D.kind[i], x = D.x[i], y = D.y[i], r = D.r[i], c = 'node ' + cls + (pins[i] ? ' pin' : '') + (hits && hits[i] ? ' hit' : '');
    if (k === 't' || k === 'l') {
      var chip = el(parent, 'rect', { x: x - D.wide[i] / 2, y: y - r, width: D.wide[i], height: 2 * r, rx: 8, 'class': c + (k === 't' ? ' chip' : '') + (i === D.goal ? ' goal' : '') });
      if (D.text[i]) el(parent, 'text', { x: x, y: y + 8, 'text-anchor': 'middle', 'font-size': 24, 'class': 'name', 'font-weight': i === D.goal ? 600 : 400 }, D.text[i]);
      return chip;
    }
    if ('epb'.indexOf(k) >= 0) return el(parent, 'path', {
      d: 'M' + [x, y - r] + 'l' + (k === 'e' ? [r, r, -r, r, -r, -r] : [r, 2 * r - 2, -2 * r, 0]) + 'z', 'class': c
    });
    if (k === 'g') return el(parent, 'text', { x: x, y: y + 7, 'text-anchor': 'middle', 'font-size': 18, 'class': 'name halo' }, D.text[i]);
    return el(parent, 'circle', { cx: x, cy: y, r: r, 'class': c + (D.strong[i] ? ' strong' : '') });
  }
  function label(parent, i, l) {
    el(parent, 'text', { x: l[0], y: l[1], 'text-anchor': ['start', 'middle', 'end'][l[2]], 'class': 'name halo' + (D.guess[i] ? ' guess' : '') }, D.text[i]);
  }
  function drawNodes() {
    var g = empty($('nodes'));
    for (var i = 0; i < N; i++) if (on[i]) shape(g, i, '');
    for (i = 0; i < N; i++) {
      if (!on[i]) continue;
      if (D.label[i]) label(g, i, D.label[i]);
      else if (pins[i] && !D.wide[i]) label(g, i, [D.x[i] + D.r[i] + 6, D.y[i] + 8, 0]);
    }
  }

  function byShare(a, b) { return Math.abs(D.w[b]) - Math.abs(D.w[a]) || a - b; }
  function links(i, ends) {
    var out = [];
    for (var e = 0; e < E; e++) if (ends[e] === i && on[D.s[e]] && on[D.t[e]]) out.push(e);
    return out.sort(byShare);
  }
  var inputs = (i) => { return links(i, D.t); }, outputs = (i) => { return links(i, D.s); };

  // the live layer: edges of one node, its neighbours filled by sign
  function highlight(i) {
    var g = empty($('live-edges'));
    var dim = i >= 0;
    [$('edges'), $('nodes')].forEach((e) => { e.setAttribute('class', dim ? 'fade' : ''); });
    if (!dim) return;
    var es = inputs(i).concat(outputs(i)).sort(byShare);
    var shown = es.slice(0, 60), names = [];
    shown.slice().reverse().forEach((e) => {
      var v = w(e), neg = v < 0 ? ' neg' : '', t = D.t[e], x = D.x[t], y = D.y[t] + D.r[t];
      var a = { d: curve(e), 'class': 'edge' + neg, 'stroke-width': 2 + 8 * Math.sqrt(Math.min(1, Math.abs(v))) };
      if (neg) a['stroke-dasharray'] = '10 6';
      el(g, 'path', a);
      el(g, 'path', { d: 'M' + [x, y] + 'l6 10h-12z', 'class': 'tip' + neg });
    });
    shown.forEach((e, n) => {
      var o = D.s[e] === i ? D.t[e] : D.s[e], dot = shape(g, o, '');
      if (!D.wide[o] && D.kind[o] !== 'g') dot.setAttribute('style', 'fill:var(--' + (w(e) < 0 ? 'neg' : 'pos') + ');fill-opacity:' + Math.min(1, 0.25 + 2 * Math.abs(w(e))));
      if (D.label[o]) label(g, o, D.label[o]);
      if (n < 5) names.push([o, signed(w(e))]);
    });
    shape(g, i, '');
    if (D.label[i]) label(g, i, D.label[i]);
    var r = Math.max(D.r[i], D.wide[i] / 2) + 8;
    if (D.wide[i]) el(g, 'rect', { x: D.x[i] - r, y: D.y[i] - D.r[i] - 8, width: 2 * r, height: 2 * D.r[i] + 16, rx: 12, 'class': 'ring' });
    else el(g, 'circle', { cx: D.x[i], cy: D.y[i], r: r, 'class': 'ring' });
    names.forEach((n) => {
      el(g, 'text', { x: D.x[n[0]] - Math.max(D.r[n[0]], D.wide[n[0]] / 2) - 6, y: D.y[n[0]] + 8, 'text-anchor': 'end', 'class': 'name halo', 'font-weight': 600 }, n[1]);
    });
  }

  function row(ul, i, value, cls) {
    var li = html(ul, 'li');
    html(li, 'b', cls, value);
    html(li, 'span', '', D.say[i]);
    li.title = D.say[i];
    li.onclick = (ev) => { ev.shiftKey ? pin(i) : go(i, true); };
    li.onmouseenter = () => { hover(i); };
    li.onmouseleave = () => { hover(-1); };
    return li;
  }
  function side(id, name, es, other) {
    var box = $(id), n = Math.min(40, es.length);
    box.querySelector('h2').textContent = name + (es.length ? ': ' + (n < es.length ? n + ' of ' : '') + es.length + ', share of input' : ': none shown');
    var ul = empty(box.querySelector('ul'));
    es.slice(0, n).forEach((e) => { row(ul, other[e], signed(w(e)), w(e) < 0 ? 'neg' : ''); });
  }
  function list() {
    var ul = empty($('list')), n = 0;
    D.rank.forEach((i) => {
      if (!on[i] || hits && !hits[i]) return;
      n++;
      var li = row(ul, i, D.kind[i] === 'l' ? pct(D.prob[i]) : D.pull[i].toPrecision(3), 'num');
      li.id = 'o' + i;
      li.setAttribute('role', 'option');
    });
    $('list-name').textContent = (hits ? 'Found: ' : 'Nodes by influence: ') + n;
    mark();
  }
  function mark() {
    var old = $('list').querySelector('[aria-selected=true]'), now = $('o' + at);
    if (old) old.removeAttribute('aria-selected');
    if (!now) return $('list').removeAttribute('aria-activedescendant');
    now.setAttribute('aria-selected', 'true');
    $('list').setAttribute('aria-activedescendant', 'o' + at);
    $('list').scrollTop = now.offsetTop - $('list').offsetTop - 60;
  }
  // go makes a node the current one; hold also keeps its edges lit
  function go(i, hold) {
    if (i < 0 || i === undefined) return;
    at = i;
    if (hold) focus = focus === i && hold !== 'keep' ? -1 : i;
    else if (focus >= 0) focus = i;
    side('ins', 'Inputs', inputs(i), D.s);
    side('outs', 'Outputs', outputs(i), D.t);
    $('live').textContent = D.hover[i] + (pins[i] ? ' · pinned' : '');
    mark();
    highlight(over >= 0 ? over : focus);
  }
  function clear() { focus = -1; highlight(-1); }
  function hover(i) {
    if (i === over) return;
    over = i;
    highlight(i >= 0 ? i : focus);
  }
  function pin(i) {
    if (pins[i]) delete pins[i]; else pins[i] = true;
    redraw();
    go(i);
  }
  function redraw() {
    select();
    drawEdges();
    drawNodes();
    list();
    if (focus >= 0 && !on[focus]) focus = -1;
    go(on[at] ? at : D.goal);
  }
  function search() {
    var q = $('q').value.trim().toLowerCase(), n = 0;
    hits = q ? {} : null;
    if (q) for (var i = 0; i < N; i++) {
      if (on[i] && (D.say[i] + ' ' + D.id[i]).toLowerCase().indexOf(q) >= 0) { hits[i] = true; n++; }
    }
    $('found').textContent = q ? n + ' found' : '';
    drawNodes();
    list();
  }

  // the nearest node under the pointer
  function pick(ev, reach) {
    var b = $('pic').getBoundingClientRect(), k = 2 * D.W / b.width, best = -1, least = reach * k;
    var x = (ev.clientX - b.left) * k, y = (ev.clientY - b.top) * k;
    for (var i = 0; i < N; i++) {
      if (!on[i]) continue;
      var half = D.wide[i] / 2, dx = Math.max(0, Math.abs(x - D.x[i]) - half), d = Math.hypot(dx, y - D.y[i]);
      if (half) d = Math.hypot(dx, Math.max(0, Math.abs(y - D.y[i]) - D.r[i]));
      if (d < least) { least = d; best = i; }
    }
    return best;
  }
  var pic = $('pic'), tip = $('tip');
  pic.onpointermove = (ev) => {
    var i = pick(ev, ev.pointerType === 'touch' ? 32 : 24);
    hover(i);
    pic.style.cursor = i < 0 ? 'default' : 'pointer';
    tip.style.display = i < 0 ? 'none' : 'block';
    if (i < 0) return;
    tip.textContent = D.hover[i];
    var k = pic.clientWidth / (2 * D.W), x = D.x[i] * k, below = D.y[i] * k < 90;
    tip.style.left = Math.max(0, Math.min(x - 100, pic.clientWidth - 330)) + 'px';
    tip.style.top = below ? D.y[i] * k + 24 + 'px' : '';
    tip.style.bottom = below ? '' : pic.clientHeight - D.y[i] * k + 22 + 'px';
  };
  pic.onpointerleave = () => { hover(-1); tip.style.display = 'none'; };
  pic.onclick = (ev) => {
    var i = pick(ev, 24);
    if (i < 0) clear();
    else if (ev.shiftKey) pin(i);
    else go(i, true);
  };

  function near(step) {
    var best = -1, bx = 0;
    for (var i = 0; i < N; i++) {
      var dx = (D.x[i] - D.x[at]) * step;
      if (!on[i] || i === at || D.row[i] !== D.row[at] || dx <= 0) continue;
      if (best < 0 || dx < bx) { best = i; bx = dx; }
    }
    return best;
  }
  function other(es, ends) { return es.length ? ends[es[0]] : -1; }
  function toggle(id) { $(id).checked = !$(id).checked; redraw(); }
  function step(d) { $('cut').value = +$('cut').value + d; redraw(); }
  document.onkeydown = (ev) => {
    var k = ev.key, typing = ev.target === $('q');
    if (ev.ctrlKey || ev.metaKey || ev.altKey) return;
    if (k === 'Escape') {
      if ($('q').value) { $('q').value = ''; search(); }
      else clear();
      if (typing) $('list').focus();
      return;
    }
    if (typing) {
      if (k === 'Enter' && hits) { go(D.rank.filter((i) => { return hits[i]; })[0], 'keep'); $('list').focus(); }
      return;
    }
    if (/^Arrow|Home|End|PageUp|PageDown|Enter/.test(k) && /^(INPUT|BUTTON)$/.test(ev.target.tagName)) return;
    var act = {
      ArrowUp: () => { go(other(outputs(at), D.t)); },
      ArrowDown: () => { go(other(inputs(at), D.s)); },
      ArrowLeft: () => { go(near(-1)); },
      ArrowRight: () => { go(near(1)); },
      Enter: () => { go(at, true); },
      p: () => { pin(at); },
      e: () => { toggle('err'); },
      b: () => { toggle('inp'); },
      '[': () => { step(-5); },
      ']': () => { step(5); },
      '/': () => { $('q').focus(); },
      '?': () => { help(); }
    }[k.length === 1 ? k.toLowerCase() : k];
    if (act) { act(); ev.preventDefault(); }
  };
  function help() {
    var k = $('keys'), show = k.style.display !== 'block';
    k.style.display = show ? 'block' : 'none';
    $('help').setAttribute('aria-expanded', show);
  }
  $('help').onclick = help;
  $('q').oninput = search;
  $('cut').oninput = $('err').onchange = $('inp').onchange = redraw;
  addEventListener('message', (ev) => {
    var m = ev.data;
    if (ev.source === parent && m && m.clt === 1 && m.t === 'theme') root.setAttribute('data-theme', m.mode === 'dark' ? 'dark' : 'light');
  });
  redraw();
  $('scroll').scrollLeft = 1e4;
  if (parent !== window) parent.postMessage({ clt: 1, t: 'ready', h: D.h }, '*');
})();
