{# plugin template #}
