CREATE TABLE plugin_buycourses (id INT);
