{# legacy layout #}<html><body>{{ content }}</body></html>
