<?php

// A file of the release that the web updater has unpacked.
