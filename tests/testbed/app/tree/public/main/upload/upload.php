<?php

require_once __DIR__.'/../inc/global.inc.php';

// The old upload form. It stores below var/courses. Whether the filter of names covers legacy scripts is not known: a switch.
api_block_anonymous_users();
if ('POST' !== $_SERVER['REQUEST_METHOD'] || !isset($_FILES['file'])) {
    (new Template('Upload'))->display('<form method="post" enctype="multipart/form-data"><input type="file" name="file"><button>Send</button></form>');
    exit;
}
// The name may have been rewritten by the filter, which works on the request object.
$file = Container::$request->files->get('file');
$name = str_replace(['/', '\\'], '-', $file->getClientOriginalName());
$file->move(dirname(__DIR__, 3).'/var/courses/DEMO/document', $name);
header('Content-Type: application/json');
echo json_encode(['stored' => $name]);
