<?php
(require __DIR__ . '/database.php')->exec('INSERT INTO visit (at) VALUES (NOW())');
