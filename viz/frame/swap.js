(function (doc, title) {
  // Replaces the still picture by the interactive frame once that says it is
  // ready. If it never does, the still picture stays.
  var root = document.currentScript && document.currentScript.parentNode;
  if (!root || !root.querySelector) return;
  var still = root.querySelector('.clt-static'), note = root.querySelector('.clt-note');
  var f = document.createElement('iframe'), ready = false;
  f.setAttribute('sandbox', 'allow-scripts allow-downloads');
  f.setAttribute('class', 'clt-frame');
  f.title = title;
  f.style.cssText = 'display:block;border:0;width:100%;height:0';
  f.srcdoc = doc;
  function dark() {
    var b = document.body, jp = b.getAttribute('data-jp-theme-light'), set = document.documentElement.getAttribute('data-theme');
    if (set) return set === 'dark';
    if (jp) return jp === 'false';
    if (/vscode-(dark|high-contrast)/.test(b.className)) return !/vscode-high-contrast-light/.test(b.className);
    if (/vscode-light/.test(b.className)) return false;
    return !!(window.matchMedia && matchMedia('(prefers-color-scheme: dark)').matches);
  }
  function theme() {
    if (!ready || !f.contentWindow) return;
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
  function heard(e) {
    var m = e.data;
    if (e.source !== f.contentWindow || !m || m.clt !== 1 || m.t !== 'ready') return;
    f.style.height = Math.max(120, Math.min(2000, +m.h || 0)) + 'px';
    if (ready) return;
    ready = true;
    if (still) still.style.display = 'none';
    if (note) note.style.display = 'none';
    theme();
  }
  // JupyterLab keeps the press on a cell's prompt from moving the focus: keys would still go to the frame. The cell around
  // it takes them, from where JupyterLab passes them on.
  function leave() {
    if (document.activeElement !== f) return;
    var around = root.closest('[tabindex]');
    if (around) around.focus({ preventScroll: true });
    else f.blur();
  }
  addEventListener('message', heard);
  addEventListener('pointerdown', leave, true);
  // A busy machine takes longer to load it than to be ready after that.
  function give() {
    if (ready) return;
    removeEventListener('message', heard);
    removeEventListener('pointerdown', leave, true);
    watch.disconnect();
    f.remove();
  }
  f.onload = function () { setTimeout(give, 3000); };
  root.insertBefore(f, still);
  var watch = new MutationObserver(theme);
  watch.observe(document.body, { attributes: true, attributeFilter: ['data-jp-theme-light', 'class'] });
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
})
