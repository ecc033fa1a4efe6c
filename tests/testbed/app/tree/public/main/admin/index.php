<?php

require_once __DIR__.'/../inc/global.inc.php';

api_protect_admin_script();
(new Template('Administration'))->display('<ul><li><a href="/main/admin/user_list.php">Users</a></li><li><a href="/admin/settings/security">Security settings</a></li></ul>');
