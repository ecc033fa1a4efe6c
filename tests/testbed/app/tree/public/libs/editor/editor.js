// Stands in for the rich text editor: it builds its dialogs with new Function and inline styles, as such editors do.
var Editor = {
  init: function (options) {
    var field = document.querySelector(options.selector);
    var box = document.querySelector(options.preview);
    var render = new Function("text", "return '<b style=\"color:green\">' + text + '</b>';");
    box.innerHTML = render(field.value);
    document.body.dataset.editor = "ready";
  }
};
