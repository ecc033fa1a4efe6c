<?php

// Only used where platform.use_custom_pages is on.
header('Location: /', true, 302);
