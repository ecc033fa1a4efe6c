<?php

require_once __DIR__.'/../inc/global.inc.php';

(new Template('I lost my password'))->display('<form method="post"><input name="user"><button>Send</button></form>');
