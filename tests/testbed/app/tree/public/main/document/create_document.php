<?php

require_once __DIR__.'/../inc/global.inc.php';

// The rich text editor starts from inline scripts, as the real page does.
(new Template('Create a document'))->display(
    '<form method="post"><textarea id="content" name="content">Hello</textarea><button onclick="return true">Save</button></form><div id="preview" style="color: green"></div>',
    '<script src="/libs/editor/editor.js"></script><script>Editor.init({selector: "#content", preview: "#preview"});</script>'
);
