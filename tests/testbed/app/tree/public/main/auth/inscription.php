<?php

require_once __DIR__.'/../inc/global.inc.php';

if ('false' === api_get_setting('registration.allow_registration')) {
    api_not_allowed();
}
(new Template('Registration'))->display('<form method="post"><input name="username"><button>Register</button></form>');
