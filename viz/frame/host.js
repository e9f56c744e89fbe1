// host puts a document into a sandboxed frame before the still figure of the
// output that the running script is in. Until the document says it is ready, and
// where it never does, the still figure stays.
function host(make, title, rights, least, begin) {
  var root = document.currentScript && document.currentScript.parentNode;
  var still = root && root.querySelector && root.querySelector('.clt-static');
  if (!still) return;
  var f = document.createElement('iframe'), ready = false;
  f.setAttribute('sandbox', rights);
  f.setAttribute('class', 'clt-frame');
  f.title = title;
  f.style.cssText = 'display:block;border:0;width:100%;height:0';
  f.srcdoc = make(still);
  function heard(e) {
    var m = e.data;
    if (e.source !== f.contentWindow || !m || m.clt !== 1 || m.t !== 'ready') return;
    f.style.height = Math.max(least, Math.min(2000, +m.h || 0)) + 'px';
    if (ready) return;
    ready = true;
    still.style.display = 'none';
    if (begin) begin(root, f);
  }
  // JupyterLab keeps the press on a cell's prompt from moving the focus: keys would still go to the frame. The cell around
  // it takes them, from where JupyterLab passes them on.
  function leave() {
    if (document.activeElement !== f) return;
    var around = root.closest('[tabindex]');
    if (around) around.focus({ preventScroll: true });
    else f.blur();
  }
  // A busy machine takes longer to load it than to be ready after that.
  function give() {
    if (ready) return;
    removeEventListener('message', heard);
    removeEventListener('pointerdown', leave, true);
    f.remove();
  }
  addEventListener('message', heard);
  addEventListener('pointerdown', leave, true);
  f.onload = function () { setTimeout(give, 3000); };
  root.insertBefore(f, still);
}
