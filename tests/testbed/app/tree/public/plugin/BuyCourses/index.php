<?php

require_once __DIR__.'/../../main/inc/global.inc.php';

(new Template('Courses for sale'))->display('<p>Nothing for sale.</p>');
