<?php

require_once __DIR__.'/../inc/global.inc.php';

api_block_anonymous_users();
(new Template('Tests'))->display('<p>No test yet.</p>');
