(function (doc, title) {
  // host.js comes here
  // The interactive graph, which follows the theme of the page.
  function dark() {
    var b = document.body, jp = b.getAttribute('data-jp-theme-light'), set = document.documentElement.getAttribute('data-theme');
    if (set) return set === 'dark';
    if (jp) return jp === 'false';
    if (/vscode-(dark|high-contrast)/.test(b.className)) return !/vscode-high-contrast-light/.test(b.className);
    if (/vscode-light/.test(b.className)) return false;
    return !!(window.matchMedia && matchMedia('(prefers-color-scheme: dark)').matches);
  }
  host(function () { return doc; }, title, 'allow-scripts allow-downloads', 120, function (root, f) {
    function theme() {
      if (!f.contentWindow) return;
      var d = dark();
      root.style.background = d ? '#111111' : '#FFFFFF';
      root.style.color = d ? '#E0E0E0' : '#1A1A1A';
      root.style.borderColor = d ? '#3A3A3A' : '#D0D0D0';
      root.querySelectorAll('table,tr').forEach(function (e) {
        e.style.background = 'transparent';
        e.style.color = 'inherit';
      });
      root.querySelectorAll('[data-dark]').forEach(function (e) {
        e.style.color = d ? e.getAttribute('data-dark') : e.getAttribute('data-light');
      });
      f.contentWindow.postMessage({ clt: 1, t: 'theme', mode: d ? 'dark' : 'light' }, '*');
    }
    var note = root.querySelector('.clt-note'), watch = new MutationObserver(theme);
    if (note) note.style.display = 'none';
    theme();
    watch.observe(document.body, { attributes: true, attributeFilter: ['data-jp-theme-light', 'class'] });
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  });
})
