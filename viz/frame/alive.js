(function (head, tail, title) {
  // Puts a copy of the still figure into a sandboxed frame in which pointer and
  // keys read out the hover texts. Until that says it is ready, and where it never
  // does, the still figure stays.
  var root = document.currentScript && document.currentScript.parentNode;
  var still = root && root.querySelector && root.querySelector('.clt-static');
  if (!still) return;
  var f = document.createElement('iframe'), ready = false;
  f.setAttribute('sandbox', 'allow-scripts');
  f.setAttribute('class', 'clt-frame');
  f.title = title;
  f.style.cssText = 'display:block;border:0;width:100%;height:0';
  f.srcdoc = head + new XMLSerializer().serializeToString(still) + tail;
  function heard(e) {
    var m = e.data;
    if (e.source !== f.contentWindow || !m || m.clt !== 1 || m.t !== 'ready') return;
    f.style.height = Math.max(40, Math.min(2000, +m.h || 0)) + 'px';
    ready = true;
    still.style.display = 'none';
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
    f.remove();
  }
  f.onload = function () { setTimeout(give, 3000); };
  root.insertBefore(f, still);
})
