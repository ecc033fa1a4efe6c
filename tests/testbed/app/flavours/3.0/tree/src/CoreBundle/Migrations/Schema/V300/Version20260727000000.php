<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Migrations\Schema\V300;

final class Version20260727000000
{
}
