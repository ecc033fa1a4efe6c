{% include "layout/layout.tpl" %}
