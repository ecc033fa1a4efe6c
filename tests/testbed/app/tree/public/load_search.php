<?php

require_once __DIR__.'/main/inc/global.inc.php';

(new Template('Search'))->display('<p>No result.</p>');
