<?php

require_once __DIR__.'/../main/inc/global.inc.php';

(new Template('Certificates'))->display('<p>No such certificate.</p>');
