<?php

return require dirname(__DIR__, 3).'/version.php';
