"""The API of credits: views, serializers, routes and pages."""
