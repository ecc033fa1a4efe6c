<?php

// A file of the release before the update.
