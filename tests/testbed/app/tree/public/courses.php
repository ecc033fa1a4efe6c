<?php

header('Location: /courses', true, 302);
