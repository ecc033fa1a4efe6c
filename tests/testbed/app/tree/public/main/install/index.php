<?php

// The wizard: open to anybody for as long as the folder is there.
$version = require __DIR__.'/version.php';
header('Content-Type: text/html; charset=UTF-8');
echo '<!DOCTYPE html><title>Chamilo installation</title><h1>Chamilo '.$version['new_version'].' installation wizard</h1>';
echo is_writable(dirname(__DIR__, 3).'/config') ? '<p>config/ is writable.</p>' : '<p>config/ is not writable.</p>';
echo '<form method="post"><button name="step" value="1">Existing tables detected: clean the database and install</button></form>';
