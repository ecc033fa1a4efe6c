<?php

require_once __DIR__.'/inc/global.inc.php';

throw new RuntimeException('A legacy page failed on purpose.');
