<?php

header("Content-Type: application/json");
echo '{"keys":[]}';
