CREATE TABLE example (id INT);
