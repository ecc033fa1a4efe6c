<?php
return new PDO('mysql:host=localhost;dbname=shop', 'shop', 'shop-database-password');
