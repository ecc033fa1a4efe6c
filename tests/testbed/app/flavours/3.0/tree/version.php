<?php

/**
 * The version of this package. Overwritten by each upgrade.
 */
return [
    'new_version' => '3.0.2',
    'new_version_status' => 'stable',
    'new_version_last_id' => '2',
    'new_version_stable' => true,
    'new_version_major' => false,
    'software_name' => 'Chamilo',
    'software_url' => 'https://chamilo.org/',
];
