(function () {
  // Theme button, picture download, keys, and open details in print.
  var root = document.documentElement, b = document.getElementById('theme');
  function dark() {
    var set = root.getAttribute('data-theme');
    return set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  }
  b.hidden = false;
  b.onclick = function () { root.setAttribute('data-theme', dark() ? 'light' : 'dark'); };
  document.querySelectorAll('figure').forEach(function (f) {
    var i = f.querySelector('img[src^="data:image/svg+xml"]'), c = f.querySelector('figcaption');
    if (!i || !c) return;
    var a = document.createElement('a');
    a.href = i.src;
    a.download = f.id + '.svg';
    a.textContent = 'save as SVG';
    c.append(' · ', a);
  });
  // what scrolls sideways can be reached by keyboard
  function reach() {
    document.querySelectorAll('figure,.clt-static').forEach(function (f) {
      if (f.scrollWidth > f.clientWidth) f.tabIndex = 0;
      else f.removeAttribute('tabindex');
    });
  }
  reach();
  addEventListener('resize', reach);
  addEventListener('beforeprint', function () {
    document.querySelectorAll('details').forEach(function (d) { d.open = true; });
  });
})();
