<?php

require_once __DIR__.'/../inc/global.inc.php';

// Shows a SCORM package in a frame.
(new Template('Learning path'))->display(
    '<iframe id="content_id" src="/assets/scorm/demo/index.html" width="600" height="400"></iframe>',
    '<script>window.API = {LMSInitialize: function () { document.body.dataset.scorm = "initialized"; return "true"; }};</script>'
);
