<?php

// Checks what the application needs.
header('Content-Type: text/html; charset=UTF-8');
echo '<!DOCTYPE html><title>Requirements</title><h1>Symfony requirements checker</h1><p>PHP '.PHP_VERSION.'</p><ul>';
foreach (['curl', 'fileinfo', 'gd', 'intl', 'mbstring', 'openssl', 'pdo_mysql', 'xml', 'zip'] as $extension) {
    echo '<li>', $extension, ': ', extension_loaded($extension) ? 'ok' : 'missing', '</li>';
}
echo '</ul><p>', php_ini_loaded_file(), '</p>';
