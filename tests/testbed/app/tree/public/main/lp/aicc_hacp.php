<?php

// AICC: an external package names the session of the learner in a request parameter.
if (isset($_REQUEST['session_id']) && is_string($_REQUEST['session_id'])) {
    session_name('chamilo2');
    session_id($_REQUEST['session_id']);
}
session_start();

header('Content-Type: text/plain');
echo "error=0\r\nerror_text=Successful\r\nversion=2.0\r\n";
