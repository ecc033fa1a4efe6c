<?php

// The wizard: open where nothing is installed, where the database does not answer, and for an upgrade that is permitted.
use Chamilo\CoreBundle\Helpers\InstallerGate;

require_once __DIR__.'/../../../vendor/autoload.php';
header('Content-Type: text/html; charset=UTF-8');
if (!InstallerGate::isOpen(dirname(__DIR__, 3))) {
    http_response_code(403);
    exit('<!DOCTYPE html><title>Chamilo installation</title><p>Chamilo is installed.</p>');
}
$version = require __DIR__.'/version.php';
echo '<!DOCTYPE html><title>Chamilo installation</title><h1>Chamilo '.$version['new_version'].' installation wizard</h1>';
echo '<form method="post"><button name="step" value="1">Existing tables detected: clean the database and install</button></form>';
