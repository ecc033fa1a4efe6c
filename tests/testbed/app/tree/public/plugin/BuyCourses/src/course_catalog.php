<?php

require_once __DIR__.'/../../../main/inc/global.inc.php';

(new Template('Course catalogue'))->display('<p>Demonstration course</p>');
