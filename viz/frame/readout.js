(function () {
  // Reads out the hover texts of a figure: the nearest one under the pointer, the
  // next one in a direction by the arrow keys. A click makes a small map large.
  var figure = document.getElementById('figure'), say = document.getElementById('say'), hint = say.textContent, now = null;
  var spots = Array.prototype.slice.call(figure.querySelectorAll('[title]'));
  var texts = spots.map(function (e) {
    var t = e.title;
    e.removeAttribute('title');
    return t;
  });
  function go(i, near) {
    if (now) now.classList.remove('on');
    now = spots[i] || null;
    if (now) {
      now.classList.add('on');
      if (near) now.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }
    say.textContent = now ? texts[i] : hint;
  }
  function best(cost) {
    var found = -1, least = Infinity;
    spots.forEach(function (e, i) {
      var c = cost(e.getBoundingClientRect(), e);
      if (c < least) {
        least = c;
        found = i;
      }
    });
    return found;
  }
  figure.onpointermove = function (ev) {
    go(best(function (b) {
      var d = Math.hypot(Math.max(b.left - ev.clientX, 0, ev.clientX - b.right), Math.max(b.top - ev.clientY, 0, ev.clientY - b.bottom));
      return d < 24 ? d + Math.hypot(b.left + b.right - 2 * ev.clientX, b.top + b.bottom - 2 * ev.clientY) / 1e3 : Infinity;
    }));
  };
  figure.onpointerleave = function () { go(-1); };
  figure.onclick = function (ev) {
    spots.forEach(function (e) {
      if (e.querySelector('img')) e.classList.toggle('big', e.contains(ev.target) && !e.classList.contains('big'));
    });
    size();
  };
  var ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  figure.onkeydown = function (ev) {
    var way = ways[ev.key], a = now && now.getBoundingClientRect();
    if (ev.ctrlKey || ev.metaKey || ev.altKey || !way && ev.key !== 'Escape') return;
    ev.preventDefault();
    if (!way || !a) return go(way ? 0 : -1);
    var next = best(function (b, e) {
      var dx = b.left + b.width / 2 - a.left - a.width / 2, dy = b.top + b.height / 2 - a.top - a.height / 2;
      var along = dx * way[0] + dy * way[1], off = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      return e !== now && along > 0.5 ? along + 3 * off : Infinity;
    });
    if (next >= 0) go(next, true);
  };
  function size() { parent.postMessage({ clt: 1, t: 'ready', h: document.body.offsetHeight }, '*'); }
  addEventListener('resize', size);
  addEventListener('load', size);
})();
