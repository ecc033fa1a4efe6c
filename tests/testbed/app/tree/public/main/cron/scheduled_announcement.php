<?php

if ('cli' !== PHP_SAPI) {
    exit('Only from the command line');
}

echo "nothing to send\n";
