<?php

require_once __DIR__.'/../../main/inc/global.inc.php';

api_block_anonymous_users();
(new Template('Video conferences'))->display('<p>No room yet.</p>');
