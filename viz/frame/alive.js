(function (head, tail, title) {
  // host.js comes here
  // A copy of the still figure, in which pointer and keys read out the hover texts.
  host(function (still) { return head + new XMLSerializer().serializeToString(still) + tail; }, title, 'allow-scripts', 40);
})
